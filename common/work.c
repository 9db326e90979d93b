#include "common/work.h"

#include "common/mem.h"

#include <pthread.h>
#include <string.h>

struct work_job {
	struct work_job *next;
	const char *name;
	uint64_t key;
	work_run_fn run;
	work_done_fn done;
	void *arg;
};

struct work_thread {
	pthread_t id;
	struct work_pool *pool;
	uint64_t key; /* of the job it runs, 0 = none or unordered; under the pool's lock */
};

struct work_pool {
	struct loop *loop;
	struct work_options opt;
	pthread_mutex_t lock;
	pthread_cond_t more; /* a job came, a key got free, or stopping */
	struct work_job *head, **tail;
	size_t queued, running;
	bool stopping;
	struct work_thread *threads;
};

static bool
key_busy(const struct work_pool *pool, uint64_t key)
{
	for (unsigned i = 0; key != 0 && i < pool->opt.threads; i++) {
		if (pool->threads[i].key == key)
			return true;
	}
	return false;
}

/* First job whose key nobody runs: equal keys keep their order, since the older one stands first.
 */
static struct work_job *
take_job(struct work_pool *pool)
{
	for (struct work_job **at = &pool->head; *at != NULL; at = &(*at)->next) {
		struct work_job *job = *at;
		if (key_busy(pool, job->key))
			continue;
		*at = job->next;
		if (job->next == NULL)
			pool->tail = at;
		pool->queued--;
		return job;
	}
	return NULL;
}

static void
job_done(void *arg)
{
	struct work_job *job = arg;
	job->done(job->arg);
	free(job);
}

static void
finish_job(struct work_pool *pool, struct work_job *job)
{
	if (job->done == NULL || !loop_post(pool->loop, job->name, job_done, job))
		free(job);
}

static void *
thread_main(void *arg)
{
	struct work_thread *self = arg;
	struct work_pool *pool = self->pool;
	void *state = pool->opt.thread_init ? pool->opt.thread_init(pool->opt.arg) : NULL;

	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct work_job *job = take_job(pool);
		if (job == NULL && pool->stopping && pool->queued == 0)
			break;
		if (job == NULL) {
			pthread_cond_wait(&pool->more, &pool->lock);
			continue;
		}
		self->key = job->key;
		pool->running++;
		pthread_mutex_unlock(&pool->lock);
		job->run(state, job->arg);
		/* Posted before the key is free, so that done() of equal keys keeps the order too.
		 */
		finish_job(pool, job);
		pthread_mutex_lock(&pool->lock);
		self->key = 0;
		pool->running--;
		/* This thread takes what waited for the key, unless something older stands before
		 * it: that is for one more. */
		if (pool->queued > 1)
			pthread_cond_signal(&pool->more);
	}
	pthread_mutex_unlock(&pool->lock);

	if (pool->opt.thread_fini)
		pool->opt.thread_fini(state, pool->opt.arg);
	return NULL;
}

struct work_pool *
work_new(struct loop *loop, const struct work_options *opt)
{
	MUST(opt->threads > 0);
	struct work_pool *pool = xcalloc(1, sizeof(*pool));
	pool->loop = loop;
	pool->opt = *opt;
	pool->tail = &pool->head;
	MUST(pthread_mutex_init(&pool->lock, NULL) == 0);
	MUST(pthread_cond_init(&pool->more, NULL) == 0);
	pool->threads = xcalloc(opt->threads, sizeof(*pool->threads));
	for (unsigned i = 0; i < opt->threads; i++) {
		pool->threads[i].pool = pool;
		MUST(pthread_create(&pool->threads[i].id, NULL, thread_main, &pool->threads[i]) ==
		     0);
		pthread_setname_np(pool->threads[i].id, opt->name);
	}
	return pool;
}

bool
work_submit(struct work_pool *pool, const char *name, uint64_t key, work_run_fn run,
    work_done_fn done, void *arg)
{
	struct work_job *job = xmalloc(sizeof(*job));
	*job = (struct work_job){ .name = name, .key = key, .run = run, .done = done, .arg = arg };
	pthread_mutex_lock(&pool->lock);
	bool ok = !pool->stopping && pool->queued < pool->opt.queue_max;
	if (ok) {
		*pool->tail = job;
		pool->tail = &job->next;
		pool->queued++;
		pthread_cond_signal(&pool->more);
	}
	pthread_mutex_unlock(&pool->lock);
	if (!ok)
		free(job);
	return ok;
}

size_t
work_pending(const struct work_pool *pool)
{
	struct work_pool *p = (struct work_pool *)(uintptr_t)pool;
	pthread_mutex_lock(&p->lock);
	size_t n = p->queued + p->running;
	pthread_mutex_unlock(&p->lock);
	return n;
}

uint64_t
work_key(const char *s)
{
	uint64_t h = 14695981039346656037ull; /* FNV-1a */
	for (; *s; s++)
		h = (h ^ (unsigned char)*s) * 1099511628211ull;
	return h ? h : 1;
}

void
work_stop(struct work_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->stopping = true;
	pthread_cond_broadcast(&pool->more);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->opt.threads; i++)
		pthread_join(pool->threads[i].id, NULL);
}

void
work_free(struct work_pool *pool)
{
	if (pool == NULL)
		return;
	MUST(pool->head == NULL);
	pthread_cond_destroy(&pool->more);
	pthread_mutex_destroy(&pool->lock);
	free(pool->threads);
	free(pool);
}
