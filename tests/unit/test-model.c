/* SPDX-License-Identifier: Apache-2.0 */
#include "folder.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/digest.h"
#include "firmware-measure/model.h"
#include "tests/support/fault.h"

static void expect(const char *path, const char *manifest, const char *oms_root)
{
	cleanup_model_report struct model_report m = { 0 };
	struct reason why = { "" };

	assert_ok(model_measure(path, NULL, &m, &why));
	assert_hex(m.digests.manifest, manifest);
	assert_hex(m.digests.oms_root, oms_root);
}

static void expect_failure(const char *path, enum err_code want, const char *words)
{
	struct model_report m = { .n_files = 77 };
	struct reason why = { "" };
	struct err e = model_measure(path, NULL, &m, &why);

	assert_code(e, want);
	if (strstr(why.text, words) == NULL)
		fail_msg("reason \"%s\" does not say \"%s\"", why.text, words);
	assert_int_equal(m.n_files, 77);
}

/*
 * The root digests are those in signatures that the OpenSSF tool itself made
 * at 1.0.0, over a folder of two files and over a single file; the manifest
 * digests come from another implementation of the formula.
 */
static void oms_folder(void **state)
{
	(void)state;
	put_folder("m");
	put_text("m/signme-2", "signme-2");
	put_text("m/signme-1", "signme-1");
	expect("m", "48af4082bcc4ac82abea127d52beee235575481971eccde4a32114ead2e04ee3",
	       "61d4849d9d90076d6215f4d525f13d6574af8e3f67aef3e6f36fc40a14fdd226");
}

static void oms_single_file(void **state)
{
	(void)state;
	put_text("signme-1", "signme-1\n");
	expect("signme-1", "db77f339ed633a7b47b90bce76266ea833bcd851230bb6f68460cb85ca6b7029",
	       "afa48c8674afe334b8a7dea34f7b46ab256e9255edf8da2132792341b667a45b");
	expect("./signme-1", "db77f339ed633a7b47b90bce76266ea833bcd851230bb6f68460cb85ca6b7029",
	       "afa48c8674afe334b8a7dea34f7b46ab256e9255edf8da2132792341b667a45b");
}

static void fill_tree(const char *root)
{
	char w[1001];

	memset(w, 'w', sizeof(w) - 1);
	w[sizeof(w) - 1] = '\0';
	put_folder(root);
	assert_int_equal(chdir(root), 0);
	put_folder("weights");
	put_folder("a");
	put_folder(".git");
	put_folder("no-files-in-here");
	put_text("weights/w-00001.bin", w);
	put_text("config.json", "{}");
	put_text("a/x", "one");
	put_text("a.txt", "two");
	put_text("empty", "");
	put_text(".git/HEAD", "ref");
	assert_int_equal(chdir(".."), 0);
}

#define TREE_MANIFEST "fa21a6ed3b9353bd294ae841688b355cf9ce162026c67adefb6a31ee1633fc29"
#define TREE_OMS_ROOT "386d89bba0f6fb94c0fc66652c5049d51d7848b123b1b1f69c2702a77413ce49"

/* Bytewise order of whole paths (a.txt before a/x), nothing ignored, empty files count, empty folders do not. */
static void tree(void **state)
{
	static const char *const paths[] = { ".git/HEAD", "a.txt", "a/x", "config.json", "empty", "weights/w-00001.bin" };
	cleanup_model_report struct model_report m = { 0 };

	(void)state;
	fill_tree("m");
	assert_ok(model_measure("m", NULL, &m, NULL));
	assert_hex(m.digests.manifest, TREE_MANIFEST);
	assert_hex(m.digests.oms_root, TREE_OMS_ROOT);
	assert_int_equal(m.n_files, array_len(paths));
	for (size_t i = 0; i < array_len(paths); i++)
		assert_string_equal(m.files[i].path, paths[i]);
	assert_int_equal(m.n_bytes, 1000 + 2 + 3 + 3 + 0 + 3);
	assert_int_equal(m.files[5].size, 1000);
	assert_hex(m.files[4].sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* Neither the number of threads nor the way the folder is named matters. */
static void the_same_however_asked(void **state)
{
	(void)state;
	fill_tree("m");
	expect("m/", TREE_MANIFEST, TREE_OMS_ROOT);
	expect("./m///", TREE_MANIFEST, TREE_OMS_ROOT);
	for (unsigned jobs = 1; jobs < 12; jobs++) {
		cleanup_model_report struct model_report m = { 0 };
		struct model_options o = { .jobs = jobs };

		assert_ok(model_measure("m", &o, &m, NULL));
		assert_hex(m.digests.manifest, TREE_MANIFEST);
	}
	assert_int_equal(rename("m", "n"), 0);
	expect("n", TREE_MANIFEST, TREE_OMS_ROOT);
}

static void change_byte(void)
{
	put_text("m/config.json", "[]");
}

static void add_file(void)
{
	put_text("m/weights/extra", "");
}

static void remove_file(void)
{
	assert_int_equal(unlink("m/empty"), 0);
}

static void rename_file(void)
{
	assert_int_equal(rename("m/config.json", "m/conf.json"), 0);
}

static void move_file(void)
{
	assert_int_equal(rename("m/a/x", "m/weights/x"), 0);
}

static void swap_files(void)
{
	assert_int_equal(rename("m/a/x", "m/tmp"), 0);
	assert_int_equal(rename("m/a.txt", "m/a/x"), 0);
	assert_int_equal(rename("m/tmp", "m/a.txt"), 0);
}

static void move_bytes(void)
{
	put_text("m/a.txt", "tw");
	put_text("m/a/x", "oone");
}

static const struct {
	const char *name;
	void (*change)(void);
} changes[] = {
	{ "W5 byte changed", change_byte },    { "W5 file added", add_file },	  { "W5 file removed", remove_file },
	{ "W5 file renamed", rename_file },    { "W5 file moved", move_file },	  { "W5 files swapped", swap_files },
	{ "W5 bytes moved over", move_bytes },
};

static void W5_changes_show(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_len(changes); i++) {
		cleanup_model_report struct model_report m = { 0 };
		char hex[65];

		fill_tree("m");
		expect("m", TREE_MANIFEST, TREE_OMS_ROOT);
		changes[i].change();
		assert_ok(model_measure("m", NULL, &m, NULL));
		assert_ok(hex_encode(BYTES_ARR(m.digests.manifest), hex, sizeof(hex)));
		if (strcmp(hex, TREE_MANIFEST) == 0)
			fail_msg("%s: not seen", changes[i].name);
		assert_int_equal(remove_tree("m"), 0);
	}
}

/* The weakness of the root digest that ours does not share: it does not cover names. */
static void W5_names_are_covered(void **state)
{
	cleanup_model_report struct model_report a = { 0 }, b = { 0 };

	(void)state;
	put_folder("m");
	put_text("m/x", "1");
	assert_ok(model_measure("m", NULL, &a, NULL));
	assert_int_equal(rename("m/x", "m/y"), 0);
	assert_ok(model_measure("m", NULL, &b, NULL));
	assert_memory_equal(a.digests.oms_root, b.digests.oms_root, 32);
	assert_memory_not_equal(a.digests.manifest, b.digests.manifest, 32);
}

static void W5_symlinks(void **state)
{
	(void)state;
	fill_tree("m");
	assert_int_equal(rename("m/a.txt", "other"), 0);
	assert_int_equal(symlink("../other", "m/a.txt"), 0);
	expect_failure("m", E_PEER_UNSUPPORTED, "a.txt is a symbolic link");
	assert_int_equal(unlink("m/a.txt"), 0);

	assert_int_equal(symlink("weights", "m/w"), 0);
	expect_failure("m", E_PEER_UNSUPPORTED, "w is a symbolic link");
	assert_int_equal(unlink("m/w"), 0);

	assert_int_equal(symlink("gone", "m/weights/dangling"), 0);
	expect_failure("m", E_PEER_UNSUPPORTED, "weights/dangling is a symbolic link");
	assert_int_equal(unlink("m/weights/dangling"), 0);

	assert_int_equal(symlink("m", "link"), 0);
	expect_failure("link", E_PEER_UNSUPPORTED, "symbolic link");
	expect_failure("link/", E_PEER_UNSUPPORTED, "symbolic link");
	assert_int_equal(symlink("other", "file-link"), 0);
	expect_failure("file-link", E_PEER_UNSUPPORTED, "symbolic link");
}

#define GIT_BLOB "0123456789abcdef0123456789abcdef01234567"
#define REVISION "hub/snapshots/rev"

/* A cache as the hub's library lays it out: the contents of fill_tree(), large ones named by their SHA-256. */
static void fill_cache(void)
{
	static const char *const links[][3] = {
		{ "weights/w-00001.bin", NULL, "../../../blobs/" },
		{ "config.json", "{}", "../../blobs/" },
		{ "a/x", "one", "../../../blobs/" },
		{ "a.txt", "two", "../../blobs/" },
		{ "empty", "", "../../blobs/" },
	};
	char w[1001];

	memset(w, 'w', sizeof(w) - 1);
	w[sizeof(w) - 1] = '\0';
	put_folder("hub");
	put_folder("hub/blobs");
	put_folder("hub/snapshots");
	put_folder(REVISION);
	put_folder(REVISION "/weights");
	put_folder(REVISION "/a");
	put_folder(REVISION "/.git");
	put_text(REVISION "/.git/HEAD", "ref");
	for (size_t i = 0; i < array_len(links); i++) {
		const char *text = links[i][1] != NULL ? links[i][1] : w;
		char hex[65], path[256], target[128];
		uint8_t d[32];

		assert_ok(sha256(bytes_str(text), d));
		assert_ok(hex_encode(BYTES_ARR(d), hex, sizeof(hex)));
		if (i == 1)
			(void)snprintf(hex, sizeof(hex), "%s", GIT_BLOB);
		(void)snprintf(path, sizeof(path), "hub/blobs/%s", hex);
		put_text(path, text);
		(void)snprintf(path, sizeof(path), "%s/%s", REVISION, links[i][0]);
		(void)snprintf(target, sizeof(target), "%s%s", links[i][2], hex);
		assert_int_equal(symlink(target, path), 0);
	}
}

/* The same digest as of a folder with the same files. */
static void hugging_face_cache(void **state)
{
	cleanup_model_report struct model_report m = { 0 }, file = { 0 }, linked = { 0 };

	(void)state;
	fill_cache();
	expect(REVISION, TREE_MANIFEST, TREE_OMS_ROOT);
	expect(REVISION "/", TREE_MANIFEST, TREE_OMS_ROOT);
	assert_int_equal(chdir(REVISION), 0);
	expect(".", TREE_MANIFEST, TREE_OMS_ROOT);
	assert_int_equal(chdir(folder), 0);
	assert_ok(model_measure(REVISION, NULL, &m, NULL));
	assert_int_equal(m.n_links, 5);
	put_text("a.txt", "two");
	assert_ok(model_measure("a.txt", NULL, &file, NULL));
	assert_ok(model_measure(REVISION "/a.txt", NULL, &linked, NULL));
	assert_memory_equal(linked.digests.manifest, file.digests.manifest, 32);
	expect_failure(REVISION "/a/x", E_PEER_UNSUPPORTED, "x is a symbolic link");
	expect_failure("hub", E_PEER_UNSUPPORTED, "is a symbolic link");
	expect_failure("hub/snapshots", E_PEER_UNSUPPORTED, "is a symbolic link");
}

static void relink(const char *target)
{
	assert_true(unlink(REVISION "/config.json") == 0 || errno == ENOENT);
	assert_int_equal(symlink(target, REVISION "/config.json"), 0);
}

/* Any other link is none of the layout's. */
static void W5_hugging_face_links(void **state)
{
	static const char *const other[] = {
		"../../../blobs/" GIT_BLOB, "../blobs/" GIT_BLOB, "../../blobs/" GIT_BLOB "/", "../../blobs/./" GIT_BLOB, "./../../blobs/" GIT_BLOB,
		"../../blobs/" GIT_BLOB "0", "../../blobs/0123456789ABCDEF0123456789abcdef01234567", "../../blobs/name", "../../blobs/",
		"../../snapshots/" GIT_BLOB, "../../blobs/..", "a.txt", "/etc/passwd", "../../blobs/../blobs/" GIT_BLOB,
	};

	(void)state;
	fill_cache();
	for (size_t i = 0; i < array_len(other); i++) {
		relink(other[i]);
		expect_failure(REVISION, E_PEER_UNSUPPORTED, "config.json is a symbolic link");
	}
	relink("../../blobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
	expect_failure(REVISION, E_PEER_MISSING, "its blob aaaa");
	assert_int_equal(symlink(GIT_BLOB, "hub/blobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0);
	expect_failure(REVISION, E_PEER_UNSUPPORTED, "in place of its blob");
	assert_int_equal(unlink("hub/blobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), 0);
	assert_int_equal(mkfifo("hub/blobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 0600), 0);
	expect_failure(REVISION, E_PEER_UNSUPPORTED, "a FIFO");
	relink("../../blobs/" GIT_BLOB);
	expect(REVISION, TREE_MANIFEST, TREE_OMS_ROOT);
	assert_int_equal(rename("hub/snapshots", "hub/revisions"), 0);
	expect_failure("hub/revisions/rev", E_PEER_UNSUPPORTED, "is a symbolic link");
	assert_int_equal(rename("hub/revisions", "hub/snapshots"), 0);
	assert_int_equal(rename("hub/blobs", "hub/elsewhere"), 0);
	assert_int_equal(symlink("elsewhere", "hub/blobs"), 0);
	expect_failure(REVISION, E_PEER_UNSUPPORTED, "is a symbolic link");
}

static void W5_special_files(void **state)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "m/socket" };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	fill_tree("m");
	assert_int_equal(mkfifo("m/fifo", 0600), 0);
	expect_failure("m", E_PEER_UNSUPPORTED, "fifo is a FIFO");
	expect_failure("m/fifo", E_PEER_UNSUPPORTED, "a FIFO");
	assert_int_equal(unlink("m/fifo"), 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&addr, sizeof(addr)), 0);
	expect_failure("m", E_PEER_UNSUPPORTED, "socket is a socket");
	expect_failure("m/socket", E_PEER_UNSUPPORTED, "a socket");
	assert_int_equal(close(fd), 0);
	expect_failure("/dev/null", E_PEER_UNSUPPORTED, "a device");
}

static void W5_names(void **state)
{
	static const char *const bad[] = { "\xff",	  "a\nb",	   "tab\there", "\x1b[31m",   "\x7f",
					   "\xc2\x9b", "\xed\xa0\x80", "\xc0\xaf",   "cut\xe2\x82" };
	static const char *const good[] = { "file (copy).bin", "\xe6\xa8\xa1\xe5\x9e\x8b.bin", "..hidden", "back\\slash",
					    "\xc2\xa0" };
	char path[64];

	(void)state;
	for (size_t i = 0; i < array_len(bad); i++) {
		put_folder("m");
		put_text("m/fine", "");
		(void)snprintf(path, sizeof(path), "m/%s", bad[i]);
		put_text(path, "x");
		expect_failure("m", E_PEER_SYNTAX, "names must be UTF-8");
		expect_failure(path, E_PEER_SYNTAX, "names must be UTF-8");
		assert_int_equal(unlink(path), 0);
		put_folder(path);
		expect_failure("m", E_PEER_SYNTAX, "names must be UTF-8");
		assert_int_equal(remove_tree("m"), 0);
	}
	for (size_t i = 0; i < array_len(good); i++) {
		cleanup_model_report struct model_report m = { 0 };

		assert_true(mkdir("m", 0700) == 0 || i > 0);
		(void)snprintf(path, sizeof(path), "m/%s", good[i]);
		put_text(path, "x");
		assert_ok(model_measure("m", NULL, &m, NULL));
		assert_int_equal(m.n_files, i + 1);
	}
}

static void nothing_there(void **state)
{
	char longer[LIMIT_PATH + 1];

	(void)state;
	put_folder("m");
	expect_failure("m", E_PEER_MISSING, "no regular file");
	put_folder("m/empty");
	expect_failure("m", E_PEER_MISSING, "no regular file");
	expect_failure("gone", E_LOCAL_NOT_FOUND, "gone");
	expect_failure("gone/deeper", E_LOCAL_NOT_FOUND, "deeper");
	expect_failure("", E_LOCAL_NOT_FOUND, "no path");
	memset(longer, 'a', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	expect_failure(longer, E_LOCAL_NOT_FOUND, "no path");
}

/* As somebody who may not read it: root, who may, becomes nobody for that. */
static void unreadable(void **state)
{
	const bool root = geteuid() == 0;

	(void)state;
	put_folder("m");
	put_text("m/secret", "x");
	assert_int_equal(chmod(".", 0755), 0);
	assert_int_equal(chmod("m", 0755), 0);
	assert_int_equal(chmod("m/secret", 0), 0);
	assert_true(!root || seteuid(65534) == 0);
	expect_failure("m", E_LOCAL_PERMISSION, "secret");
	assert_true(!root || seteuid(0) == 0);

	assert_int_equal(unlink("m/secret"), 0);
	put_folder("m/closed");
	assert_int_equal(chmod("m/closed", 0), 0);
	assert_true(!root || seteuid(65534) == 0);
	expect_failure("m", E_LOCAL_PERMISSION, "closed");
	expect_failure("m/closed", E_LOCAL_PERMISSION, "closed");
	assert_true(!root || seteuid(0) == 0);
	assert_int_equal(chmod("m/closed", 0700), 0);
}

/* Nested to the limit and one deeper; then a path that is too long at a permitted depth. */
static void depth(void **state)
{
	cleanup_model_report struct model_report m = { 0 };
	char name[200];
	int top;

	(void)state;
	put_folder("m");
	assert_int_equal(chdir("m"), 0);
	for (int i = 0; i < LIMIT_MODEL_DEPTH; i++) {
		put_folder("d");
		assert_int_equal(chdir("d"), 0);
	}
	put_text("leaf", "x");
	top = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(chdir(folder), 0);
	assert_ok(model_measure("m", NULL, &m, NULL));
	assert_int_equal(m.n_files, 1);
	assert_int_equal(strlen(m.files[0].path), 2 * LIMIT_MODEL_DEPTH + 4);

	assert_int_equal(chdir("m"), 0);
	for (int i = 0; i < LIMIT_MODEL_DEPTH; i++)
		assert_int_equal(chdir("d"), 0);
	put_folder("one-too-deep");
	assert_int_equal(fchdir(top), 0);
	expect_failure("m", E_LIMIT_DEPTH, "nested more than");

	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	put_folder("long");
	assert_int_equal(chdir("long"), 0);
	for (int i = 0; i < LIMIT_PATH / 200 + 1; i++) {
		put_folder(name);
		assert_int_equal(chdir(name), 0);
	}
	assert_int_equal(fchdir(top), 0);
	expect_failure("long", E_LIMIT_SIZE, "path longer than");
	assert_int_equal(close(top), 0);

	/* Undone from the top, because its whole path is too long for the system as well. */
	assert_int_equal(chdir("long"), 0);
	while (access(name, F_OK) == 0) {
		char inner[2 * sizeof(name)];

		(void)snprintf(inner, sizeof(inner), "%s/%s", name, name);
		assert_true(rename(inner, "next") == 0 || errno == ENOENT);
		assert_int_equal(rmdir(name), 0);
		assert_true(rename("next", name) == 0 || errno == ENOENT);
	}
	assert_int_equal(chdir(folder), 0);
}

/* Changes while it is read. The callback is where the measurement is at a known point. */
struct meddle {
	void (*change)(void);
	bool at_end, did;
	uint64_t last;
};

static void on_progress(void *ctx, uint64_t done, uint64_t total)
{
	struct meddle *x = ctx;

	assert_true(done >= x->last && done <= total);
	x->last = done;
	if (x->did || (x->at_end && done < total))
		return;
	x->did = true;
	x->change();
}

static void change_blob(void)
{
	put_text("hub/blobs/" GIT_BLOB, "[]");
}

static void link_other_blob(void)
{
	put_text("hub/blobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "{}");
	relink("../../blobs/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa");
}

static void W5_hugging_face_changes(void **state)
{
	static void (*const all[])(void) = { change_blob, link_other_blob };
	char path[128];

	(void)state;
	for (size_t i = 0; i < 2 * array_len(all); i++) {
		struct meddle x = { .change = all[i / 2], .at_end = i % 2 == 1 };
		struct model_options o = { .progress = on_progress, .ctx = &x };
		struct model_report m = { 0 };

		/* A link that is turned before its blob is read is seen when the folder is walked again. */
		fill_cache();
		assert_code(model_measure(REVISION, &o, &m, NULL), E_PEER_CHANGED);
		assert_true(x.did);
		assert_int_equal(remove_tree("hub"), 0);
	}
	fill_cache();
	(void)snprintf(path, sizeof(path), "hub/blobs/%s", "3fc4ccfe745870e2c0d99f71f30ff0656c8dedd41cc1d7d3d376b0dbe685e2f3");
	put_text(path, "tow");
	expect_failure(REVISION, E_PEER_DIGEST, "the cache is damaged");
}

static void touch(void)
{
	struct timespec now[2] = { { .tv_nsec = UTIME_NOW }, { .tv_nsec = UTIME_NOW } };

	assert_int_equal(utimensat(AT_FDCWD, "m/empty", now, 0), 0);
}

/* The same size and the old mtime: ctime tells. */
static void rewrite_quietly(void)
{
	struct timespec old[2];
	struct stat st;

	assert_int_equal(stat("m/config.json", &st), 0);
	old[0] = st.st_atim;
	old[1] = st.st_mtim;
	change_byte();
	assert_int_equal(utimensat(AT_FDCWD, "m/config.json", old, 0), 0);
}

static void grow(void)
{
	put_text("m/empty", "no more");
}

static void link_instead(void)
{
	assert_int_equal(unlink("m/a/x"), 0);
	assert_int_equal(symlink("../a.txt", "m/a/x"), 0);
}

static void link_folder_instead(void)
{
	assert_int_equal(rename("m/a", "elsewhere"), 0);
	assert_int_equal(symlink("../elsewhere", "m/a"), 0);
}

static const struct {
	const char *name;
	void (*change)(void);
	enum err_code at_start, at_end; /* E_OK: cannot be seen at that point, and need not */
} meddlings[] = {
	{ "byte changed", change_byte, E_PEER_CHANGED, E_PEER_CHANGED },
	{ "byte changed, mtime set back", rewrite_quietly, E_PEER_CHANGED, E_PEER_CHANGED },
	{ "touched", touch, E_PEER_CHANGED, E_PEER_CHANGED },
	{ "grown", grow, E_PEER_CHANGED, E_PEER_CHANGED },
	{ "removed", remove_file, E_PEER_CHANGED, E_PEER_CHANGED },
	{ "renamed", rename_file, E_PEER_CHANGED, E_PEER_CHANGED },
	{ "swapped", swap_files, E_PEER_CHANGED, E_PEER_CHANGED },
	{ "added", add_file, E_PEER_CHANGED, E_PEER_CHANGED },
	{ "symlink in the file's place", link_instead, E_PEER_CHANGED, E_PEER_UNSUPPORTED },
	{ "symlink in the folder's place", link_folder_instead, E_PEER_CHANGED, E_PEER_UNSUPPORTED },
};

static void W5_changed_while_read(void **state)
{
	(void)state;
	for (size_t k = 0; k < 4 * array_len(meddlings); k++) {
		size_t i = k / 2;
		bool at_end = i % 2 == 1;
		struct meddle x = { .change = meddlings[i / 2].change, .at_end = at_end };
		struct model_options o = { .progress = on_progress, .ctx = &x, .verity = k % 2 == 1 };
		enum err_code want = at_end ? meddlings[i / 2].at_end : meddlings[i / 2].at_start;
		struct model_report m = { 0 };
		struct reason why = { "" };
		struct err e;

		fill_tree("m");
		e = model_measure("m", &o, &m, &why);
		assert_true(x.did);
		if (e.code != want)
			fail_msg("%s at the %s: %s instead of %s", meddlings[i / 2].name, at_end ? "end" : "start",
				 err_name(e), err_name(ERR(want)));
		assert_string_not_equal(why.text, "");
		assert_int_equal(remove_tree("m"), 0);
		(void)remove_tree("elsewhere");
	}
}

static void truncate_large(void)
{
	assert_int_equal(truncate("m/large", 0), 0);
}

static void cut_large(void)
{
	assert_int_equal(truncate("m/large", 1024), 0);
}

static void append_to_large(void)
{
	FILE *f = fopen("m/large", "ae");

	assert_non_null(f);
	assert_int_equal(fputc('x', f), 'x');
	assert_int_equal(fclose(f), 0);
}

static void replace_large(void)
{
	put_text("new", "");
	assert_int_equal(rename("new", "m/large"), 0);
}

static void on_half(void *ctx, uint64_t done, uint64_t total)
{
	struct meddle *x = ctx;

	if (x->did || done == 0 || done == total)
		return;
	x->did = true;
	x->change();
}

/* A change between two reads of one file, as a whole and in shards: holes take no disk, but their time to hash. */
static void W5_changed_within_a_file(void **state)
{
	static void (*const all[])(void) = { truncate_large, cut_large, append_to_large, replace_large };

	(void)state;
	for (size_t i = 0; i < 3 * array_len(all); i++) {
		struct meddle x = { .change = all[i / 3] };
		struct model_options o = { .jobs = 1, .progress = on_half, .ctx = &x };

		o.shard_size = i % 3 == 1 ? MIB : 0;
		o.shards_only = i % 3 == 1;
		o.verity = i % 3 == 2;
		struct model_report m = { .n_files = 77 };
		struct reason why = { "" };

		put_folder("m");
		put_text("m/large", "");
		assert_int_equal(truncate("m/large", (off_t)(1024 * MIB)), 0);
		assert_code(model_measure("m", &o, &m, &why), E_PEER_CHANGED);
		assert_true(x.did);
		assert_non_null(strstr(why.text, "large"));
		assert_int_equal(m.n_files, 77);
		assert_int_equal(remove_tree("m"), 0);
	}
}

/* Shards: each part of a file by itself, in order, with or without the whole; nothing for an empty file. */
static void shards(void **state)
{
	static const char text[] = "0123456789abcdef";

	(void)state;
	fill_tree("m");
	put_text("m/config.json", text);
	for (size_t size = 1; size <= 17; size++) {
		cleanup_model_report struct model_report m = { 0 }, only = { 0 };
		struct model_options o = { .jobs = 3, .shard_size = size };
		static const uint8_t none[32];

		assert_ok(model_measure("m", &o, &m, NULL));
		o.shards_only = true;
		assert_ok(model_measure("m", &o, &only, NULL));
		assert_memory_equal(only.digests.manifest, none, 32);
		assert_memory_not_equal(m.digests.manifest, none, 32);
		assert_int_equal(m.files[4].n_shards, 0); /* "empty" */
		assert_int_equal(m.files[3].n_shards, (16 + size - 1) / size);
		for (size_t i = 0; i < m.files[3].n_shards; i++) {
			size_t left = 16 - i * size;
			uint8_t want[32];

			assert_ok(sha256(BYTES(text + i * size, left < size ? left : size), want));
			assert_memory_equal(m.files[3].shards[i], want, 32);
			assert_memory_equal(only.files[3].shards[i], want, 32);
		}
	}
}

/* One more than there may be, of all files together; counted before anything is hashed. */
static void too_many_shards(void **state)
{
	struct model_options o = { .shard_size = 1, .shards_only = true };
	struct model_report m = { 0 };
	struct reason why = { "" };

	(void)state;
	put_folder("m");
	put_text("m/a", "");
	put_text("m/b", "x");
	assert_int_equal(truncate("m/a", LIMIT_MODEL_FILES), 0);
	assert_code(model_measure("m", &o, &m, &why), E_LIMIT_COUNT);
	assert_non_null(strstr(why.text, "shards"));
	assert_int_equal(truncate("m/a", (off_t)1 << 40), 0);
	assert_code(model_measure("m", &o, &m, &why), E_LIMIT_COUNT);
}

/* More files than threads, sizes around the buffer's: each digest belongs to its file. */
static void many_files(void **state)
{
	cleanup_model_report struct model_report m = { 0 };
	cleanup_free char *text = malloc(3 * MIB);
	struct model_options o = { .jobs = 5 };
	char path[32];

	(void)state;
	assert_non_null(text);
	memset(text, 'm', 3 * MIB);
	put_folder("m");
	for (size_t i = 0; i < 300; i++) {
		size_t n = i % 50 == 0 ? (i / 100) * MIB + i % 3 : i;

		(void)snprintf(path, sizeof(path), "m/%03zu", i);
		text[n] = '\0';
		put_text(path, text);
		text[n] = 'm';
	}
	assert_ok(model_measure("m", &o, &m, NULL));
	assert_int_equal(m.n_files, 300);
	for (size_t i = 0; i < 300; i++) {
		size_t n = i % 50 == 0 ? (i / 100) * MIB + i % 3 : i;
		uint8_t want[32];

		assert_int_equal(m.files[i].size, n);
		assert_ok(sha256(BYTES(text, n), want));
		assert_memory_equal(m.files[i].sha256, want, 32);
	}
}

/* Every allocation in every way of measuring. What cannot be had is no digest; a hint that cannot be made is no hint. */
static void failing_allocations(void **state)
{
	static const struct model_options ways[] = {
		{ .jobs = 1 }, { .jobs = 1, .verity = true }, { .jobs = 1, .shard_size = 2 }, { .jobs = 1, .hints = true },
	};

	(void)state;
	fill_tree("m");
	put_text("m/x.safetensors", "\2\1");
	for (size_t way = 0; way < array_len(ways); way++) {
		cleanup_model_report struct model_report good = { 0 };
		struct err e;
		long k = 0;

		assert_ok(model_measure("m", &ways[way], &good, NULL));
		do {
			struct model_report m = { 0 };
			struct reason why = { "" };

			fault_begin(k++);
			e = model_measure("m", &ways[way], &m, &why);
			(void)fault_end();
			if (failed(e)) {
				assert_true(e.code == E_LOCAL_MEMORY || e.code == E_LOCAL_CRYPTO);
				assert_null(m.files);
			} else {
				assert_memory_equal(m.digests.manifest, good.digests.manifest, 32);
				assert_memory_equal(m.verity, good.verity, 32);
			}
			model_report_done(&m);
		} while (failed(e));
		assert_true(k > 8);
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, folder_enter, folder_leave)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(oms_folder),
		TEST(oms_single_file),
		TEST(tree),
		TEST(the_same_however_asked),
		TEST(W5_changes_show),
		TEST(W5_names_are_covered),
		TEST(W5_symlinks),
		TEST(hugging_face_cache),
		TEST(W5_hugging_face_links),
		TEST(W5_hugging_face_changes),
		TEST(W5_special_files),
		TEST(W5_names),
		TEST(W5_changed_while_read),
		TEST(W5_changed_within_a_file),
		TEST(shards),
		TEST(too_many_shards),
		TEST(nothing_there),
		TEST(unreadable),
		TEST(depth),
		TEST(many_files),
		TEST(failing_allocations),
	};

	fault_init();
	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
