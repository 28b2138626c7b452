/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every statement of the store. Each connection prepares a statement once, when
 * it is first used. Values are always bound, never pasted.
 */
#ifndef ASSAY_VERIFIER_STORE_SQL_H
#define ASSAY_VERIFIER_STORE_SQL_H

#define HOST_ENDED_ \
	"epoch = epoch + 1, version = version + 1, verdict_expires = 0, docs = x'', " \
	"host_doc = zeroblob(32)"

#define SQL_TABLE(X)                                                                                           \
	X(SQL_BEGIN, "BEGIN IMMEDIATE")                                                                        \
	X(SQL_COMMIT, "COMMIT")                                                                                \
	X(SQL_ROLLBACK, "ROLLBACK")                                                                            \
	X(SQL_SAVEPOINT, "SAVEPOINT writer")                                                                   \
	X(SQL_SAVEPOINT_RELEASE, "RELEASE writer")                                                             \
	X(SQL_SAVEPOINT_ROLLBACK, "ROLLBACK TO writer")                                                        \
                                                                                                               \
	X(SQL_TIME_HIGH, "SELECT time_high FROM meta")                                                         \
	X(SQL_TIME_ADVANCE, "UPDATE meta SET time_high = ?1 WHERE time_high < ?1")                             \
	X(SQL_TOUCH, "UPDATE meta SET probe = 1 - probe")                                                       \
	X(SQL_PRUNE_HORIZON, "SELECT prune_horizon FROM meta")                                                 \
	X(SQL_PRUNE_ADVANCE, "UPDATE meta SET prune_horizon = ?1 WHERE prune_horizon < ?1")                    \
	X(SQL_ONCE_ADD, "INSERT INTO once (space, value, expires) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING") \
	X(SQL_ONCE_GET, "SELECT 1 FROM once WHERE space = ?1 AND value = ?2")                                  \
	X(SQL_ONCE_PRUNE, "DELETE FROM once WHERE expires < (SELECT prune_horizon FROM meta)")                 \
	X(SQL_CREDENTIAL_PRUNE,                                                                                \
	  "DELETE FROM credential WHERE expires < (SELECT prune_horizon FROM meta) - 3600")                    \
                                                                                                               \
	X(SQL_HOST_GET,                                                                                        \
	  "SELECT h.record, s.state, s.version, s.epoch, s.verdict, s.verdict_expires, s.host_doc, h.ek_sha256 " \
	  "FROM host h JOIN host_state s ON s.host = h.id WHERE h.id = ?1")                                    \
	X(SQL_HOST_RECORD, "SELECT record FROM host WHERE id = ?1")                                            \
	X(SQL_HOST_ADD, "INSERT INTO host (id, ek_sha256, record, enrolled) VALUES (?1, ?2, ?3, ?4)")          \
	X(SQL_HOST_STATE_ADD,                                                                                  \
	  "INSERT INTO host_state (host, status, state, epoch) VALUES (?1, ?2, ?3, (SELECT epoch_floor FROM meta))") \
	X(SQL_HOST_EPOCH, "SELECT version, epoch FROM host_state WHERE host = ?1")                             \
	X(SQL_HOST_VERDICT,                                                                                    \
	  "UPDATE host_state SET status = ?2, state = ?3, epoch = ?4, version = version + 1, verdict = ?5, "   \
	  "verdict_expires = ?6, host_doc = ?7, docs = ?8, explanation = ?9 WHERE host = ?1")                  \
	X(SQL_HOST_PROGRESS, "UPDATE host_state SET state = ?2, version = version + 1 WHERE host = ?1")        \
	X(SQL_HOST_EXPLANATION, "SELECT explanation FROM host_state WHERE host = ?1")                          \
	X(SQL_HOST_RESET,                                                                                      \
	  "UPDATE host_state SET " HOST_ENDED_ ", status = ?2, state = ?3, verdict = 0, explanation = x'' "    \
	  "WHERE host = ?1")                                                                                   \
	X(SQL_HOST_END, "UPDATE host_state SET " HOST_ENDED_ " WHERE host = ?1")                               \
	X(SQL_HOST_EPOCH_FLOOR,                                                                                \
	  "UPDATE meta SET epoch_floor = max(epoch_floor, 1 + (SELECT epoch FROM host_state WHERE host = ?1))") \
	X(SQL_HOST_CREDENTIALS_REVOKE, "UPDATE credential SET revoked = 1 WHERE host = ?1")                    \
	X(SQL_HOST_REMOVE, "DELETE FROM host WHERE id = ?1")                                                   \
	X(SQL_HOSTS_END_BY_DOCUMENT,                                                                           \
	  "UPDATE host_state SET " HOST_ENDED_ " WHERE instr(docs, ?1) > 0")                                   \
                                                                                                               \
	X(SQL_INSTANCE_DROP, "DELETE FROM instance WHERE host = ?1")                                           \
	X(SQL_INSTANCE_ADD,                                                                                    \
	  "INSERT INTO instance (host, id, agent, jkt, usable, status, image, model, docs, ear, epoch, "       \
	  "verdict_expires, container) VALUES (?1, ?2, ?3, ?4, ?5 AND NOT EXISTS (SELECT 1 FROM "              \
	  "instance_revoked r WHERE r.host = ?1 AND r.id = ?2), ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)")          \
	X(SQL_INSTANCE_RENEW,                                                                                  \
	  "UPDATE instance SET agent = ?3, usable = ?5 AND NOT EXISTS (SELECT 1 FROM instance_revoked r "      \
	  "WHERE r.host = ?1 AND r.id = ?2), status = ?6, image = ?7, model = ?8, docs = ?9, ear = ?10, "      \
	  "epoch = ?11, verdict_expires = ?12, container = ?13 WHERE host = ?1 AND id = ?2 AND jkt = ?4")      \
	X(SQL_INSTANCE_IDS, "SELECT id FROM instance WHERE host = ?1")                                         \
	X(SQL_INSTANCE_END, "DELETE FROM instance WHERE host = ?1 AND id = ?2")                                \
	X(SQL_INSTANCE_BY_JKT,                                                                                 \
	  "SELECT i.host, i.id, i.agent, i.jkt, i.usable, i.status, i.image, i.model, i.docs, i.ear, i.epoch, " \
	  "i.verdict_expires, s.epoch, i.container FROM instance i JOIN host_state s ON s.host = i.host "      \
	  "WHERE i.jkt = ?1")                                                                                  \
	X(SQL_INSTANCE_UNUSABLE, "UPDATE instance SET usable = 0 WHERE id = ?1")                               \
	X(SQL_INSTANCE_REVOKE,                                                                                 \
	  "INSERT INTO instance_revoked (host, id) SELECT host, id FROM instance WHERE id = ?1 "               \
	  "ON CONFLICT DO NOTHING")                                                                            \
	X(SQL_INSTANCE_UNREVOKE, "DELETE FROM instance_revoked WHERE host = ?1")                               \
                                                                                                               \
	X(SQL_CREDENTIAL_HOLDS,                                                                                \
	  "SELECT 1 FROM host_state s JOIN instance i ON i.host = s.host WHERE s.host = ?1 AND s.epoch = ?2 "  \
	  "AND i.id = ?3 AND i.jkt = ?4 AND i.usable = 1 AND i.epoch = s.epoch AND i.verdict_expires >= ?5")   \
	X(SQL_CREDENTIAL_ADD,                                                                                  \
	  "INSERT INTO credential (jti, jkt, host, instance, agent, scope, audience, task, owner, issued, "    \
	  "expires, epoch) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)")                        \
	X(SQL_CREDENTIAL_GET,                                                                                  \
	  "SELECT c.jti, c.jkt, c.host, c.instance, c.agent, c.scope, c.audience, c.task, c.owner, c.issued, " \
	  "c.expires, c.epoch, c.revoked, " CREDENTIAL_ALIVE_ " FROM credential c "                            \
	  "LEFT JOIN host_state s ON s.host = c.host "                                                         \
	  "LEFT JOIN instance i ON i.host = c.host AND i.id = c.instance WHERE c.jti = ?1")                    \
	X(SQL_CREDENTIAL_REVOKE, "UPDATE credential SET revoked = 1 WHERE jti = ?1")                           \
	X(SQL_TASK_ENDED, "SELECT 1 FROM task_ended WHERE task = ?1")                                          \
	X(SQL_TASK_END, "INSERT INTO task_ended (task) VALUES (?1) ON CONFLICT DO NOTHING")                    \
	X(SQL_TASK_REVOKE, "UPDATE credential SET revoked = 1 WHERE task = ?1 AND revoked = 0")                \
                                                                                                               \
	X(SQL_READ_BEGIN, "BEGIN")                                                                             \
	X(SQL_POLICY_GENERATION, "SELECT policy_generation FROM meta")                                         \
	X(SQL_POLICY_MOVE, "UPDATE meta SET policy_generation = policy_generation + 1")                        \
	X(SQL_DOCUMENT_HIGH, "SELECT serial FROM document_high WHERE kind = ?1 AND name = ?2")                 \
	X(SQL_DOCUMENT_RAISE,                                                                                  \
	  "INSERT INTO document_high (kind, name, serial) VALUES (?1, ?2, ?3) "                                \
	  "ON CONFLICT DO UPDATE SET serial = max(serial, excluded.serial)")                                   \
	X(SQL_DOCUMENT_ADD,                                                                                    \
	  "INSERT INTO document (kind, name, serial, digest, envelope, keyid, owner, not_before, expires, "    \
	  "accepted) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)")                                        \
	X(SQL_DOCUMENT_TARGETS,                                                                                \
	  "SELECT digest FROM document WHERE kind = ?1 AND name = ?2 AND serial <= ?3 AND withdrawn = 0")      \
	X(SQL_DOCUMENT_WITHDRAW,                                                                               \
	  "UPDATE document SET withdrawn = ?4 WHERE kind = ?1 AND name = ?2 AND serial <= ?3 AND withdrawn = 0") \
	X(SQL_DOCUMENT_BY_KEY, "SELECT digest FROM document WHERE keyid = ?1")                                 \
	X(SQL_DOCUMENT_DIGEST, "SELECT digest FROM document WHERE kind = ?1 AND name = ?2 AND serial = ?3")    \
	X(SQL_DOCUMENTS,                                                                                       \
	  "SELECT envelope, keyid, kind, name, serial FROM document WHERE withdrawn = 0 "                      \
	  "AND kind <> 'withdraw' ORDER BY kind, name, serial")                                                \
	X(SQL_DOCUMENT_KEYIDS, "SELECT DISTINCT keyid FROM document WHERE withdrawn = 0 ORDER BY keyid")       \
                                                                                                               \
	X(SQL_TRUST_ADD, "INSERT INTO trust (sha256, der) VALUES (?1, ?2) ON CONFLICT DO NOTHING")             \
	X(SQL_TRUST_REMOVE, "DELETE FROM trust WHERE sha256 = ?1")                                             \
	X(SQL_TRUST, "SELECT der FROM trust ORDER BY sha256")                                                  \
	X(SQL_CLIENT_ADD,                                                                                      \
	  "INSERT INTO client (name, secret_sha256, created) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")      \
	X(SQL_CLIENT_REMOVE, "DELETE FROM client WHERE name = ?1")                                             \
	X(SQL_CLIENT_GET, "SELECT secret_sha256 FROM client WHERE name = ?1")                                  \
	X(SQL_CLIENT_RESOURCE_ADD,                                                                             \
	  "INSERT INTO client_resource (client, resource) VALUES (?1, ?2) ON CONFLICT DO NOTHING")             \
	X(SQL_CLIENT_MAY_ASK,                                                                                  \
	  "SELECT 1 FROM client WHERE name = ?1 AND (EXISTS (SELECT 1 FROM client_resource WHERE client = ?1 " \
	  "AND resource = ?2) OR NOT EXISTS (SELECT 1 FROM client_resource WHERE client = ?1))")               \
	X(SQL_CLIENT_RESOURCE,                                                                                 \
	  "SELECT 1 FROM client_resource WHERE resource = ?2 AND (?1 IS NULL OR client = ?1) LIMIT 1")         \
                                                                                                               \
	X(SQL_LIST_HOSTS,                                                                                      \
	  "SELECT h.id, s.status, h.enrolled, s.verdict, s.verdict_expires, s.epoch, h.ek_sha256 FROM host h " \
	  "JOIN host_state s ON s.host = h.id ORDER BY h.id LIMIT ?1")                                         \
	X(SQL_LIST_INSTANCES,                                                                                  \
	  "SELECT i.host, i.id, i.agent, i.status, i.usable AND i.epoch = s.epoch, EXISTS (SELECT 1 FROM "     \
	  "instance_revoked r WHERE r.host = i.host AND r.id = i.id), i.verdict_expires, i.image, i.model, "   \
	  "i.jkt, i.container FROM instance i JOIN host_state s ON s.host = i.host "                           \
	  "ORDER BY i.host, i.id LIMIT ?1")                                                                    \
	X(SQL_LIST_CREDENTIALS,                                                                                \
	  "SELECT c.jti, c.host, c.instance, c.agent, c.scope, c.audience, c.task, c.owner, c.issued, "        \
	  "c.expires, c.expires > ?2 AND " CREDENTIAL_ALIVE_ " AS alive FROM credential c "                    \
	  "LEFT JOIN host_state s ON s.host = c.host "                                                         \
	  "LEFT JOIN instance i ON i.host = c.host AND i.id = c.instance "                                     \
	  "ORDER BY alive DESC, c.issued DESC, c.jti LIMIT ?1")                                                \
	X(SQL_LIST_DOCUMENTS,                                                                                  \
	  "SELECT kind, name, serial, owner, digest, keyid, not_before, expires, accepted, withdrawn "         \
	  "FROM document ORDER BY kind, name, serial DESC LIMIT ?1")                                           \
	X(SQL_LIST_CLIENTS, "SELECT name, created FROM client ORDER BY name LIMIT ?1")                         \
	X(SQL_LIST_CLIENT_RESOURCES, "SELECT resource FROM client_resource WHERE client = ?1 ORDER BY resource") \
	X(SQL_COUNTS,                                                                                          \
	  "SELECT (SELECT count(*) FROM host), "                                                               \
	  "(SELECT count(*) FROM host_state WHERE status = ?2 AND verdict_expires > ?1), "                     \
	  "(SELECT count(*) FROM host_state WHERE status = ?3), "                                              \
	  "(SELECT count(*) FROM instance i JOIN host_state s ON s.host = i.host WHERE i.usable = 1 AND "      \
	  "i.epoch = s.epoch AND i.verdict_expires > ?1), "                                                    \
	  "(SELECT count(*) FROM credential c JOIN host_state s ON s.host = c.host JOIN instance i ON "        \
	  "i.host = c.host AND i.id = c.instance WHERE c.expires > ?1 AND " CREDENTIAL_ALIVE_ "), "            \
	  "(SELECT count(*) FROM document WHERE withdrawn = 0 AND kind <> 'withdraw')")

/* One place says when a credential is alive, but for the clock. NULLs of a missing host or instance count as no. */
#define CREDENTIAL_ALIVE_                                                                                       \
	"(c.revoked = 0 AND ifnull(s.epoch = c.epoch, 0) AND ifnull(i.usable = 1 AND i.jkt = c.jkt, 0) AND "    \
	"NOT EXISTS (SELECT 1 FROM task_ended t WHERE t.task = c.task))"

enum sql_id {
#define X(id, text) id,
	SQL_TABLE(X)
#undef X
	N_SQL
};

#endif
