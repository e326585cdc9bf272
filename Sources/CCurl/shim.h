// SPDX-License-Identifier: Apache-2.0
// libcurl's setters are variadic, which Swift cannot call: one inline body per argument type.
#pragma once

#include <curl/curl.h>

static inline CURLcode riposte_curl_set_long(CURL *handle, CURLoption option, long value)
{
	return curl_easy_setopt(handle, option, value);
}

static inline CURLcode riposte_curl_set_text(CURL *handle, CURLoption option, const char *value)
{
	return curl_easy_setopt(handle, option, value);
}

static inline CURLcode riposte_curl_set_pointer(CURL *handle, CURLoption option, void *value)
{
	return curl_easy_setopt(handle, option, value);
}

static inline CURLcode riposte_curl_set_size(CURL *handle, CURLoption option, curl_off_t value)
{
	return curl_easy_setopt(handle, option, value);
}

/// libcurl keeps a copy: the bytes need not outlive the call.
static inline CURLcode riposte_curl_set_blob(CURL *handle, CURLoption option, const void *bytes, size_t length)
{
	struct curl_blob blob = { (void *)bytes, length, CURL_BLOB_COPY };

	return curl_easy_setopt(handle, option, &blob);
}

typedef size_t (*riposte_curl_sink)(char *bytes, size_t size, size_t count, void *context);

static inline CURLcode riposte_curl_set_sink(CURL *handle, CURLoption option, riposte_curl_sink sink)
{
	return curl_easy_setopt(handle, option, sink);
}

/// The socket of a connection that was made with CURLOPT_CONNECT_ONLY, or -1.
static inline int riposte_curl_socket(CURL *handle)
{
	curl_socket_t socket = CURL_SOCKET_BAD;

	if (curl_easy_getinfo(handle, CURLINFO_ACTIVESOCKET, &socket) != CURLE_OK || socket == CURL_SOCKET_BAD)
		return -1;
	return (int)socket;
}

typedef int (*riposte_curl_progress)(void *context, curl_off_t down_total, curl_off_t down, curl_off_t up_total, curl_off_t up);

/// Called about once a second; anything but 0 ends the transfer.
static inline CURLcode riposte_curl_set_progress(CURL *handle, riposte_curl_progress progress, void *context)
{
	CURLcode code = curl_easy_setopt(handle, CURLOPT_XFERINFOFUNCTION, progress);

	if (code == CURLE_OK)
		code = curl_easy_setopt(handle, CURLOPT_XFERINFODATA, context);
	if (code == CURLE_OK)
		code = curl_easy_setopt(handle, CURLOPT_NOPROGRESS, 0L);
	return code;
}

typedef int (*riposte_curl_listener)(CURL *handle, curl_infotype type, char *bytes, size_t count, void *context);

/// Called with each line of a protocol that is sent or received, passwords among them.
static inline CURLcode riposte_curl_set_listener(CURL *handle, riposte_curl_listener listener, void *context)
{
	CURLcode code = curl_easy_setopt(handle, CURLOPT_DEBUGFUNCTION, listener);

	if (code == CURLE_OK)
		code = curl_easy_setopt(handle, CURLOPT_DEBUGDATA, context);
	if (code == CURLE_OK)
		code = curl_easy_setopt(handle, CURLOPT_VERBOSE, 1L);
	return code;
}

/// A mail goes to those whom the server takes it for, if there is one of them.
static inline CURLcode riposte_curl_allow_refused_recipients(CURL *handle)
{
#if CURL_AT_LEAST_VERSION(8, 2, 0)
	return curl_easy_setopt(handle, CURLOPT_MAIL_RCPT_ALLOWFAILS, 1L);
#else
	return curl_easy_setopt(handle, CURLOPT_MAIL_RCPT_ALLLOWFAILS, 1L);
#endif
}

static inline long riposte_curl_status(CURL *handle)
{
	long status = 0;

	curl_easy_getinfo(handle, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

static inline CURL *riposte_curl_finished(CURLM *multi, CURLcode *result)
{
	int left = 0;
	CURLMsg *message;

	while ((message = curl_multi_info_read(multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		*result = message->data.result;
		return message->easy_handle;
	}
	return NULL;
}
