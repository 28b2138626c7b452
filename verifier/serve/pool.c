/* SPDX-License-Identifier: Apache-2.0 */
#include "verifier/serve/pool.h"

#include <pthread.h>

struct pool {
	pthread_mutex_t lock;
	pthread_cond_t work;
	struct pool_job *first, **last;
	size_t n, max;
	bool stopping;
	unsigned n_threads;
	pthread_t thread[];
};

static void *worker(void *arg)
{
	struct pool *p = arg;
	struct pool_job *j;

	(void)pthread_mutex_lock(&p->lock);
	for (;;) {
		while (p->first == NULL && !p->stopping)
			(void)pthread_cond_wait(&p->work, &p->lock);
		j = p->first;
		if (j == NULL)
			break;
		p->first = j->next;
		if (p->first == NULL)
			p->last = &p->first;
		p->n--;
		(void)pthread_mutex_unlock(&p->lock);
		j->run(j);
		(void)pthread_mutex_lock(&p->lock);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return NULL;
}

struct err pool_new(unsigned n_threads, size_t max, struct pool **ret)
{
	cleanup_pool struct pool *p = calloc(1, sizeof(*p) + n_threads * sizeof(p->thread[0]));

	if (p == NULL)
		return ERR(E_LOCAL_MEMORY);
	p->max = max;
	p->last = &p->first;
	(void)pthread_mutex_init(&p->lock, NULL);
	(void)pthread_cond_init(&p->work, NULL);
	while (p->n_threads < n_threads) {
		if (pthread_create(&p->thread[p->n_threads], NULL, worker, p) != 0)
			return ERR(E_LOCAL_MEMORY);
		p->n_threads++;
	}
	*ret = take_ptr(&p);
	return ERR(E_OK);
}

void pool_free(struct pool *p)
{
	if (p == NULL)
		return;
	(void)pthread_mutex_lock(&p->lock);
	p->stopping = true;
	(void)pthread_cond_broadcast(&p->work);
	(void)pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->n_threads; i++)
		(void)pthread_join(p->thread[i], NULL);
	(void)pthread_mutex_destroy(&p->lock);
	(void)pthread_cond_destroy(&p->work);
	free(p);
}

struct err pool_add(struct pool *p, struct pool_job *j)
{
	bool full;

	(void)pthread_mutex_lock(&p->lock);
	full = p->n >= p->max || p->stopping;
	if (!full) {
		j->next = NULL;
		*p->last = j;
		p->last = &j->next;
		p->n++;
		(void)pthread_cond_signal(&p->work);
	}
	(void)pthread_mutex_unlock(&p->lock);
	return full ? ERR(E_LOCAL_BUSY) : ERR(E_OK);
}
