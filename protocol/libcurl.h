/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libcurl, loaded when it is first needed. It brings some thirty libraries with it, whose loading takes longer than
 * all else that most calls of a program do which asks nobody: a hook that a container waits for, a proof, a status.
 *
 * The name is that of the library which this was compiled for, looked up as the dynamic linker looks up any other.
 */
#ifndef ASSAY_PROTOCOL_LIBCURL_H
#define ASSAY_PROTOCOL_LIBCURL_H

#include <curl/curl.h>

#include "base/err.h"

#define LIBCURL_SONAME "libcurl.so.4"

/* Its functions, by their names without "curl_". */
struct libcurl {
	__typeof__(&curl_global_init) global_init;
	__typeof__(&curl_global_cleanup) global_cleanup;
	__typeof__(&curl_easy_init) easy_init;
	CURLcode (*easy_setopt)(CURL *curl, CURLoption option, ...);
	CURLcode (*easy_getinfo)(CURL *curl, CURLINFO info, ...);
	__typeof__(&curl_easy_perform) easy_perform;
	__typeof__(&curl_easy_cleanup) easy_cleanup;
	__typeof__(&curl_easy_strerror) easy_strerror;
	__typeof__(&curl_slist_append) slist_append;
	__typeof__(&curl_slist_free_all) slist_free_all;
};

/* *ret: for the life of the process. E_LOCAL_CONFIG: it is not installed; the log says what was missing. */
must_check struct err libcurl_load(const struct libcurl **ret);

#endif
