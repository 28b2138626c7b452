/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/peers.h"

#include <sys/socket.h>

void peers_init(struct peers *p)
{
	p->first = NULL;
	(void)pthread_mutex_init(&p->lock, NULL);
}

void peers_done(struct peers *p)
{
	(void)pthread_mutex_destroy(&p->lock);
}

void peers_add(struct peers *p, struct peer *peer, int fd, uint64_t deadline_ms)
{
	peer->fd = fd;
	peer->deadline_ms = deadline_ms;
	(void)pthread_mutex_lock(&p->lock);
	peer->next = p->first;
	peer->prev = &p->first;
	if (p->first != NULL)
		p->first->prev = &peer->next;
	p->first = peer;
	(void)pthread_mutex_unlock(&p->lock);
}

void peers_remove(struct peers *p, struct peer *peer)
{
	(void)pthread_mutex_lock(&p->lock);
	*peer->prev = peer->next;
	if (peer->next != NULL)
		peer->next->prev = peer->prev;
	(void)pthread_mutex_unlock(&p->lock);
}

void peers_deadline(struct peers *p, struct peer *peer, uint64_t deadline_ms)
{
	(void)pthread_mutex_lock(&p->lock);
	peer->deadline_ms = deadline_ms;
	(void)pthread_mutex_unlock(&p->lock);
}

size_t peers_check(struct peers *p, uint64_t now_ms)
{
	size_t n = 0;

	(void)pthread_mutex_lock(&p->lock);
	for (struct peer *peer = p->first; peer != NULL; peer = peer->next) {
		if (now_ms < peer->deadline_ms)
			continue;
		/* The descriptor is still this connection's: it is closed only after it was removed here. */
		(void)shutdown(peer->fd, SHUT_RDWR);
		peer->deadline_ms = PEER_BUSY;
		n++;
	}
	(void)pthread_mutex_unlock(&p->lock);
	return n;
}
