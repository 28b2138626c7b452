/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An agent that speaks TLS 1.3 with its certificate: the private key stays in the TPM, and the signature of the handshake
 * comes from the daemon ("tls-sign"). It writes a line, prints what comes back, and says how it went.
 *
 *   tls-client DAEMON-SOCKET CERTIFICATE SERVER-CA PORT [PRIORITY]
 *
 * The daemon signs no hash that somebody hands over, and a hash is all that GnuTLS gives to a key of ours. So we keep
 * the transcript of the handshake, from which follows what was hashed (RFC 8446, 4.4.1 and 4.4.3).
 */
#include <arpa/inet.h>
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <jansson.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define PACKET_MAX 65536
#define TRANSCRIPT_MAX 65536
#define CONTENT_MAX (64 + 34 + 48)

static unsigned char transcript[TRANSCRIPT_MAX];
static size_t transcript_n;

/* Each message with its head; GnuTLS shows it without. */
static int note_message(gnutls_session_t s, unsigned type, unsigned when, unsigned incoming, const gnutls_datum_t *m)
{
	unsigned char *to = transcript + transcript_n;

	(void)s;
	(void)when;
	(void)incoming;
	if (m->size > TRANSCRIPT_MAX - 4 - transcript_n)
		return GNUTLS_E_MEMORY_ERROR;
	to[0] = (unsigned char)type;
	to[1] = (unsigned char)(m->size >> 16);
	to[2] = (unsigned char)(m->size >> 8);
	to[3] = (unsigned char)m->size;
	memcpy(to + 4, m->data, m->size);
	transcript_n += 4 + (size_t)m->size;
	return 0;
}

/* What a CertificateVerify signs, with this hash of the transcript; its length, or 0 where that is not what was hashed. */
static size_t find_content(gnutls_digest_algorithm_t prf, const gnutls_datum_t *hashed, unsigned char ret[CONTENT_MAX])
{
	static const char context[] = "TLS 1.3, client CertificateVerify";
	size_t n = 64 + sizeof(context) + gnutls_hash_get_len(prf);
	unsigned char hash[32];

	memset(ret, ' ', 64);
	memcpy(ret + 64, context, sizeof(context));
	if (gnutls_hash_fast(prf, transcript, transcript_n, ret + 64 + sizeof(context)) != 0 ||
	    gnutls_hash_fast(GNUTLS_DIG_SHA256, ret, n, hash) != 0)
		return 0;
	return hashed->size == sizeof(hash) && memcmp(hashed->data, hash, sizeof(hash)) == 0 ? n : 0;
}

static int connect_daemon(const char *path)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	(void)snprintf(name.sun_path, sizeof(name.sun_path), "%s", path);
	if (fd >= 0 && connect(fd, (const struct sockaddr *)&name, sizeof(name)) == 0)
		return fd;
	if (fd >= 0)
		(void)close(fd);
	return -1;
}

static json_t *receive(int fd)
{
	static char packet[PACKET_MAX];
	ssize_t n = recv(fd, packet, sizeof(packet), 0);

	return n > 0 ? json_loadb(packet, (size_t)n, 0, NULL) : NULL;
}

/* The daemon's answer to "tls-sign" for this message, in hex; freed by the caller. */
static json_t *ask(int fd, const char *hex)
{
	json_t *hello = receive(fd), *request, *reply;
	const char *nonce = json_string_value(json_object_get(hello, "nonce"));
	char *text;

	if (nonce == NULL)
		return hello;
	request = json_pack("{s:s, s:s, s:s}", "nonce", nonce, "request", "tls-sign", "message", hex);
	text = json_dumps(request, JSON_COMPACT);
	reply = text != NULL && send(fd, text, strlen(text), 0) == (ssize_t)strlen(text) ? receive(fd) : NULL;
	free(text);
	json_decref(request);
	json_decref(hello);
	return reply;
}

/* In hex for the daemon: the content whose hash this is. */
static int content_hex(const gnutls_datum_t *hashed, char *hex, size_t size)
{
	unsigned char content[CONTENT_MAX];
	size_t n = find_content(GNUTLS_DIG_SHA256, hashed, content);

	if (n == 0)
		n = find_content(GNUTLS_DIG_SHA384, hashed, content);
	return n == 0 ? -1 : gnutls_hex_encode(&(gnutls_datum_t){ content, (unsigned)n }, hex, &size);
}

static int sign(gnutls_privkey_t key, gnutls_sign_algorithm_t algorithm, void *path, unsigned flags,
		const gnutls_datum_t *hashed, gnutls_datum_t *signature)
{
	char hex[2 * CONTENT_MAX + 1];
	int fd = connect_daemon(path), status = GNUTLS_E_PK_SIGN_FAILED;
	gnutls_datum_t text;
	json_t *reply = NULL;

	(void)key;
	(void)flags;
	if (fd >= 0 && algorithm == GNUTLS_SIGN_ECDSA_SECP256R1_SHA256 && content_hex(hashed, hex, sizeof(hex)) == 0)
		reply = ask(fd, hex);
	text.data = (void *)(uintptr_t)json_string_value(json_object_get(json_object_get(reply, "answer"), "signature"));
	if (text.data != NULL) {
		text.size = (unsigned)strlen((const char *)text.data);
		status = gnutls_hex_decode2(&text, signature);
	} else {
		char *said = json_dumps(reply, JSON_COMPACT);

		(void)fprintf(stderr, "no signature: %s\n", said != NULL ? said : "nothing could be asked");
		free(said);
	}
	json_decref(reply);
	if (fd >= 0)
		(void)close(fd);
	return status;
}

static int info(gnutls_privkey_t key, unsigned flags, void *path)
{
	(void)key;
	(void)path;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO)
		return GNUTLS_PK_ECDSA;
	if (flags & GNUTLS_PRIVKEY_INFO_HAVE_SIGN_ALGO)
		return GNUTLS_FLAGS_TO_SIGN_ALGO(flags) == GNUTLS_SIGN_ECDSA_SECP256R1_SHA256;
	if (flags & GNUTLS_PRIVKEY_INFO_PK_ALGO_BITS)
		return 256;
	return -1;
}

static int load_identity(gnutls_certificate_credentials_t c, char *socket_path, const char *file)
{
	gnutls_privkey_t key;
	gnutls_pcert_st cert;
	gnutls_datum_t pem;
	int status = gnutls_load_file(file, &pem);

	if (status != 0)
		return status;
	status = gnutls_pcert_import_x509_raw(&cert, &pem, GNUTLS_X509_FMT_PEM, 0);
	gnutls_free(pem.data);
	if (status == 0)
		status = gnutls_privkey_init(&key);
	if (status == 0)
		status = gnutls_privkey_import_ext4(key, socket_path, NULL, sign, NULL, NULL, info, 0);
	/* The match would be tried with a signature over something else. */
	gnutls_certificate_set_flags(c, GNUTLS_CERTIFICATE_SKIP_KEY_CERT_MATCH);
	return status == 0 ? gnutls_certificate_set_key(c, NULL, 0, &cert, 1, key) : status;
}

static int dial(const char *port)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	a.sin_port = htons((uint16_t)strtoul(port, NULL, 10));
	return fd >= 0 && connect(fd, (const struct sockaddr *)&a, sizeof(a)) == 0 ? fd : -1;
}

/* In TLS 1.3 the server's word on our certificate comes with the first record. */
static int talk(gnutls_session_t s)
{
	char line[256];
	ssize_t n;

	if (gnutls_record_send(s, "hello\n", 6) < 0)
		return GNUTLS_E_PUSH_ERROR;
	do
		n = gnutls_record_recv(s, line, sizeof(line));
	while (n == GNUTLS_E_AGAIN || n == GNUTLS_E_INTERRUPTED);
	if (n <= 0)
		return n == 0 ? GNUTLS_E_PREMATURE_TERMINATION : (int)n;
	(void)fwrite(line, 1, (size_t)n, stdout);
	return 0;
}

static int run(char **argv, const char *priority, gnutls_certificate_credentials_t c)
{
	gnutls_session_t s;
	int status, fd;
	char *desc;

	if ((status = gnutls_certificate_set_x509_trust_file(c, argv[3], GNUTLS_X509_FMT_PEM)) < 1 ||
	    (status = load_identity(c, argv[1], argv[2])) < 0 || (status = gnutls_init(&s, GNUTLS_CLIENT)) < 0 ||
	    (status = gnutls_priority_set_direct(s, priority, NULL)) < 0 ||
	    (status = gnutls_credentials_set(s, GNUTLS_CRD_CERTIFICATE, c)) < 0)
		return status == 0 ? GNUTLS_E_FILE_ERROR : status;
	gnutls_session_set_verify_cert(s, "localhost", 0);
	if ((fd = dial(argv[4])) < 0)
		return GNUTLS_E_PULL_ERROR;
	gnutls_transport_set_int(s, fd);
	gnutls_handshake_set_hook_function(s, GNUTLS_HANDSHAKE_ANY, GNUTLS_HOOK_PRE, note_message);
	gnutls_handshake_set_timeout(s, 60000);
	do
		status = gnutls_handshake(s);
	while (status < 0 && !gnutls_error_is_fatal(status));
	if (status == 0)
		status = talk(s);
	desc = status == 0 ? gnutls_session_get_desc(s) : NULL;
	(void)fprintf(stderr, "%s\n", desc != NULL ? desc : gnutls_strerror(status));
	gnutls_free(desc);
	gnutls_deinit(s);
	(void)close(fd);
	return status;
}

int main(int argc, char **argv)
{
	gnutls_certificate_credentials_t c;
	int status;

	if (argc < 5 || gnutls_certificate_allocate_credentials(&c) != 0)
		return 2;
	status = run(argv, argc > 5 ? argv[5] : "NORMAL:-VERS-ALL:+VERS-TLS1.3", c);
	gnutls_certificate_free_credentials(c);
	return status == 0 ? 0 : 1;
}
