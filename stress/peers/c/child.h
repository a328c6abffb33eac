/* What the program for bdwgc shares with src: sizes, random numbers, the clock, memory, and the line of figures.
 *
 * They are those of src/size.rs, src/random.rs and src/child.rs; a change there is a change here.
 */
#ifndef CHILD_H
#define CHILD_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef uint64_t u64;

typedef struct {
    int trees_depth, trees_large_depth;
    size_t churn_trees, churn_rounds;
    u64 dying_objects;
    size_t entries, requests, stores, stores_large;
    int collected_depth;
    size_t elements, type_rounds;
    size_t fragmented_slots, hours;
} sizes;

static const sizes QUICK = {16, 17, 256, 1024, 4000000, 100000, 50000, 2000000, 100000, 19, 500000, 1000, 20000, 8};
static const sizes FULL = {18, 21, 2048, 8192, 40000000, 1000000, 500000, 20000000, 1000000, 25, 10000000, 10000, 100000, 24};

typedef struct {
    u64 state;
} random_t;

static random_t random_new(u64 seed) {
    return (random_t){(seed * 0x9e3779b97f4a7c15u) | 1};
}

static u64 below(random_t *random, u64 bound) {
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return ((random->state >> 33) * bound) >> 31;
}

static double now_ns(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static double resident_kib(const char *field) {
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    double kib = 0;
    while (file && fgets(line, sizeof line, file))
        if (!strncmp(line, field, strlen(field))) kib = atof(line + strlen(field));
    if (file) fclose(file);
    return kib;
}

static char figures[2048];

static void figure(const char *metric, const char *unit, double value) {
    size_t used = strlen(figures);
    snprintf(figures + used, sizeof figures - used, "%s{\"metric\":\"%s\",\"unit\":\"%s\",\"value\":%.6g}", used ? "," : "",
             metric, unit, value);
}

static void finish(u64 checksum) {
    printf("{\"checksum\":\"%llu\",\"peak_mib\":%.6g,\"figures\":[%s]}\n", (unsigned long long)checksum,
           resident_kib("VmHWM:") / 1024, figures);
    fflush(stdout);
    _Exit(0);
}

/* Has the compiler believe that the object is used. */
static inline void *used(void *object) {
    __asm__ volatile("" : "+r"(object) : : "memory");
    return object;
}

#endif
