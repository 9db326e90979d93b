/*
 * confine.h - what the child gives up before it reads a definition, for good.
 *
 * Left are its open descriptors, memory and time within limits, and its own end. The filter of
 * system calls and the limit of memory are not there in sanitized builds (EVAL_SANITIZED); on a
 * kernel without seccomp and on other processors than x86-64 and ARM64 only the limits are.
 */
#ifndef EVALUATE_CONFINE_H
#define EVALUATE_CONFINE_H

#include <stddef.h>

/* Calls _exit(1) when that is not possible. memory: bytes beyond what the program has now. */
void eval_confine(size_t memory, unsigned long cpu_s);

#endif
