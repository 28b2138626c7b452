/* SPDX-License-Identifier: Apache-2.0 */
#include "protocol/libcurl.h"

#include <dlfcn.h>
#include <pthread.h>
#include <string.h>

#include "base/log.h"

static struct libcurl loaded;
static bool whole;
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* POSIX has dlsym() give functions as pointers to data. */
static bool find(void *library, const char *name, void *to)
{
	void *f = dlsym(library, name);

	memcpy(to, &f, sizeof(f));
	if (f == NULL)
		log_error(LIBCURL_SONAME " has no %s", name);
	return f != NULL;
}

static void load(void)
{
	void *library = dlopen(LIBCURL_SONAME, RTLD_NOW | RTLD_LOCAL);

	if (library == NULL) {
		log_error("%s", dlerror());
		return;
	}
	whole = find(library, "curl_global_init", &loaded.global_init) &&
		find(library, "curl_global_cleanup", &loaded.global_cleanup) &&
		find(library, "curl_easy_init", &loaded.easy_init) &&
		find(library, "curl_easy_setopt", &loaded.easy_setopt) &&
		find(library, "curl_easy_getinfo", &loaded.easy_getinfo) &&
		find(library, "curl_easy_perform", &loaded.easy_perform) &&
		find(library, "curl_easy_cleanup", &loaded.easy_cleanup) &&
		find(library, "curl_easy_strerror", &loaded.easy_strerror) &&
		find(library, "curl_slist_append", &loaded.slist_append) &&
		find(library, "curl_slist_free_all", &loaded.slist_free_all);
}

struct err libcurl_load(const struct libcurl **ret)
{
	if (pthread_once(&once, load) != 0 || !whole)
		return ERR(E_LOCAL_CONFIG);
	*ret = &loaded;
	return ERR(E_OK);
}
