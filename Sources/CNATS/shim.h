// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <nats/nats.h>
#include <openssl/ssl.h>
#include <stdbool.h>

/// The context that OpenSSL made last on this thread.
static inline SSL_CTX **riposte_nats_context(void)
{
	static _Thread_local SSL_CTX *context;

	return &context;
}

static void riposte_nats_note_context(void *context, void *value, CRYPTO_EX_DATA *data, int index, long number, void *pointer)
{
	(void)value, (void)data, (void)index, (void)number, (void)pointer;
	*riposte_nats_context() = context;
}

/// Once in a process, before the first riposte_nats_secure: OpenSSL tells of each context that it makes. Negative where it does not.
static inline int riposte_nats_follow_contexts(void)
{
	return SSL_CTX_get_ex_new_index(0, NULL, riposte_nats_note_context, NULL, NULL);
}

/// Switches TLS on, on options that have no TLS yet. libnats trusts the system's authorities and knows no way to have it otherwise; with
/// trusts_system false those go, and what natsOptions_SetCATrustedCertificates adds then is all that is trusted.
static inline natsStatus riposte_nats_secure(natsOptions *options, bool trusts_system)
{
	X509_STORE *store;
	natsStatus status;

	*riposte_nats_context() = NULL;
	status = natsOptions_SetSecure(options, true);
	if (status != NATS_OK || trusts_system)
		return status;
	store = X509_STORE_new();
	if (!*riposte_nats_context() || !store) {
		X509_STORE_free(store);
		return NATS_SSL_ERROR;
	}
	// The old one goes with this, and the context owns the new one.
	SSL_CTX_set_cert_store(*riposte_nats_context(), store);
	*riposte_nats_context() = NULL;
	return NATS_OK;
}
