/* The workloads on bdwgc: `peer-bdwgc WORKLOAD quick|full default`, or `version`.
 *
 * The same shapes, numbers and order as in src/workloads, line for line where that is possible, and the same line of JSON at
 * the end. The collector runs with its defaults: parallel markers, no incremental mode. Bodies without pointers are allocated
 * as such.
 */
#define _GNU_SOURCE
#define GC_THREADS
#include <gc.h>
#include <pthread.h>

#include "child.h"

typedef struct node {
    struct node *left, *right;
    u64 value, weight;
} node;

typedef struct entry {
    struct entry *next;
    u64 key;
    u64 words;
    u64 *body;
} entry;

/* ---- Nodes and entries ---- */

static node *new_node(node *left, node *right, u64 value) {
    node *made = GC_MALLOC(sizeof *made);
    *made = (node){left, right, value, value};
    return made;
}

static node *tree(int depth) {
    if (depth <= 1) return new_node(NULL, NULL, 1);
    node *left = tree(depth - 1);
    node *right = tree(depth - 1);
    return new_node(left, right, 1);
}

static u64 sum(const node *at) {
    return at ? at->value + sum(at->left) + sum(at->right) : 0;
}

static entry *new_entry(u64 key, u64 words, entry *next) {
    u64 *body = GC_MALLOC_ATOMIC(words * sizeof *body);
    for (u64 n = 0; n < words; n++) body[n] = key + n;
    entry *made = GC_MALLOC(sizeof *made);
    *made = (entry){next, key, words, body};
    return made;
}

static u64 sum_entry(const entry *at) {
    u64 total = 0;
    for (; at; at = at->next) {
        total += at->key;
        for (u64 n = 0; n < at->words; n++) total += at->body[n];
    }
    return total;
}

/* ---- Trees ---- */

static u64 trees(int depth) {
    u64 total = sum(tree(depth + 1));
    node *long_lived = tree(depth);
    for (int small = 4; small <= depth; small += 2)
        for (u64 made = 0; made < (u64)1 << (depth - small + 4); made++) total += sum(tree(small));
    return total + sum(used(long_lived));
}

static void run_trees(int depth) {
    double started = now_ns();
    u64 total = trees(depth);
    figure("time", "s", (now_ns() - started) / 1e9);
    finish(total);
}

static void *trees_of_thread(void *depth) {
    u64 *total = GC_MALLOC_UNCOLLECTABLE(sizeof *total);
    *total = trees(*(int *)depth);
    return total;
}

static void run_threads(int depth) {
    double started = now_ns();
    pthread_t other;
    void *there = NULL;
    if (pthread_create(&other, NULL, trees_of_thread, &depth)) exit(1);
    u64 here = trees(depth);
    pthread_join(other, &there);
    figure("time", "s", (now_ns() - started) / 1e9);
    finish(here + *(u64 *)there);
}

static void run_churn(const sizes *size) {
    double before = resident_kib("VmRSS:");
    node **slots = GC_MALLOC(size->churn_trees * sizeof *slots);
    for (size_t slot = 0; slot < size->churn_trees; slot++) slots[slot] = tree(12);
    random_t random = random_new(1);
    u64 seen = 0;
    double started = now_ns();
    for (size_t round = 0; round < size->churn_rounds; round++) {
        for (int n = 0; n < 16; n++) seen += sum(tree(8));
        size_t slot = below(&random, size->churn_trees);
        slots[slot] = tree(12);
    }
    double nanos = now_ns() - started;
    double peak = resident_kib("VmHWM:") - before;
    for (size_t slot = 0; slot < size->churn_trees; slot++) seen += sum(slots[slot]);
    figure("object", "ns", nanos / ((double)size->churn_rounds * (16 * 255 + 4095)));
    figure("peak/live", "x", peak * 1024 / ((double)size->churn_trees * 4095 * 32));
    finish(seen);
}

/* ---- Objects that die at once ---- */

#define DYING(words)                                                                 \
    static double dying_##words(u64 objects, u64 *seen) {                            \
        double started = now_ns();                                                   \
        for (u64 seed = 0; seed < objects; seed++) {                                 \
            u64 *body = GC_MALLOC_ATOMIC(words * sizeof *body);                      \
            for (int n = 0; n < words; n++) body[n] = seed;                          \
            body = used(body);                                                       \
            *seen += body[words - 1];                                                \
        }                                                                            \
        return (now_ns() - started) / (double)objects;                               \
    }
DYING(2)
DYING(4)
DYING(8)
DYING(32)
DYING(128)

static void run_dying(const sizes *size) {
    u64 seen = 0;
    figure("16 B", "ns", dying_2(size->dying_objects, &seen));
    figure("32 B", "ns", dying_4(size->dying_objects, &seen));
    figure("64 B", "ns", dying_8(size->dying_objects / 2, &seen));
    figure("256 B", "ns", dying_32(size->dying_objects / 4, &seen));
    figure("1024 B", "ns", dying_128(size->dying_objects / 16, &seen));
    finish(seen);
}

/* ---- Requests ---- */

static void fill(entry **slots, size_t slot, random_t *random) {
    u64 key = below(random, 1 << 20);
    entry *second = new_entry(key + 1, 4 + below(random, 8), NULL);
    slots[slot] = new_entry(key, 4 + below(random, 8), second);
}

static int by_value(const void *one, const void *other) {
    double a = *(const double *)one, b = *(const double *)other;
    return (a > b) - (a < b);
}

static void run_requests(const sizes *size) {
    entry **slots = GC_MALLOC(size->entries * sizeof *slots);
    double *latencies = malloc(size->requests * sizeof *latencies);
    random_t random = random_new(2);
    for (size_t slot = 0; slot < size->entries; slot++) fill(slots, slot, &random);
    u64 seen = 0;
    double started = now_ns(), last = started;
    for (size_t request = 0; request < size->requests; request++) {
        for (int n = 0; n < 8; n++) seen += sum_entry(slots[below(&random, size->entries)]);
        for (int n = 0; n < 4; n++) {
            size_t slot = below(&random, size->entries);
            fill(slots, slot, &random);
        }
        double now = now_ns();
        latencies[request] = now - last;
        last = now;
    }
    double seconds = (now_ns() - started) / 1e9;
    qsort(latencies, size->requests, sizeof *latencies, by_value);
    figure("throughput", "1/s", (double)size->requests / seconds);
    static const struct {
        const char *metric;
        double quantile;
    } asked[] = {{"p50", 0.5}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1}};
    for (size_t n = 0; n < sizeof asked / sizeof *asked; n++) {
        size_t at = (size_t)(asked[n].quantile * (double)(size->requests - 1));
        figure(asked[n].metric, "us", latencies[at] / 1000);
    }
    finish(seen);
}

/* ---- Stores ---- */

static double stores(size_t nodes, size_t count, u64 *checksum) {
    node **held = GC_MALLOC(nodes * sizeof *held);
    for (size_t slot = 0; slot < nodes; slot++) held[slot] = new_node(NULL, NULL, slot);
    random_t random = random_new(3);
    const size_t of_a_turn = 1000000;
    double nanos = 0;
    size_t turns = (count + of_a_turn - 1) / of_a_turn;
    for (size_t turn = 0; turn < turns; turn++) {
        double started = now_ns();
        for (size_t n = 0; n < of_a_turn / 2; n++) {
            size_t from = below(&random, nodes), to = below(&random, nodes);
            held[from]->left = held[to];
            held[to]->right = held[from];
        }
        nanos += now_ns() - started;
        for (size_t at = 0; at < nodes; at++) {
            u64 left = held[at]->left ? held[at]->left->value : 0;
            u64 right = held[at]->right ? held[at]->right->value : 0;
            *checksum += (left + 3 * right) * at;
        }
    }
    return nanos / (double)(turns * of_a_turn);
}

static void run_stores(const sizes *size) {
    u64 checksum = 0;
    figure("store, small", "ns", stores(1000, size->stores, &checksum));
    figure("store, large", "ns", stores(size->stores_large, size->stores, &checksum));
    finish(checksum);
}

/* ---- Whole collections ---- */

static void measure_collections(double objects, u64 checksum) {
    GC_gcollect();
    double started = now_ns();
    GC_gcollect();
    GC_gcollect();
    figure("object", "ns", (now_ns() - started) / 2 / objects);
    finish(checksum);
}

static node *root;
static node **array;

static void collect_tree(const sizes *size) {
    root = tree(size->collected_depth);
    u64 seen = sum(root);
    measure_collections((double)seen, seen);
}

static void collect_random(const sizes *size) {
    size_t nodes = (size_t)1 << size->collected_depth;
    random_t random = random_new(4);
    uint32_t *order = malloc(nodes * sizeof *order);
    for (size_t at = 0; at < nodes; at++) order[at] = (uint32_t)at;
    for (size_t at = nodes - 1; at > 0; at--) {
        size_t with = below(&random, at + 1);
        uint32_t one = order[at];
        order[at] = order[with];
        order[with] = one;
    }
    node **held = GC_MALLOC_UNCOLLECTABLE(nodes * sizeof *held);
    for (size_t number = 0; number < nodes; number++) held[number] = new_node(NULL, NULL, number);
    for (size_t at = 0; at < nodes; at++) {
        node *from = held[order[at]];
        if (2 * at + 1 < nodes) from->left = held[order[2 * at + 1]];
        from->right = 2 * at + 2 < nodes ? held[order[2 * at + 2]] : held[below(&random, nodes)];
    }
    u64 seen = 0;
    for (size_t at = 0; at < nodes; at++) {
        u64 left = held[at]->left ? held[at]->left->value : 0;
        seen += left * 3 ^ held[at]->right->value;
    }
    root = held[order[0]];
    free(order);
    GC_FREE(held);
    measure_collections((double)nodes, seen);
}

static void collect_list(const sizes *size) {
    for (size_t number = 0; number < size->elements; number++) root = new_node(root, NULL, number);
    u64 seen = 0;
    for (node *at = root; at; at = at->left) seen = seen * 31 + at->value;
    measure_collections((double)size->elements, seen);
}

static void collect_array(const sizes *size) {
    array = GC_MALLOC(size->elements * sizeof *array);
    for (size_t slot = 0; slot < size->elements; slot++) array[slot] = new_node(NULL, NULL, slot);
    u64 seen = 0;
    for (size_t slot = 0; slot < size->elements; slot++) seen = seen * 31 + array[slot]->value;
    measure_collections((double)size->elements, seen);
}

/* ---- Types, of which this collector sees the sizes alone ---- */

typedef struct typed {
    struct typed *next;
    u64 body[];
} typed;

/* A list of objects that dies; the sum of their first words. */
static u64 typed_list(size_t words, u64 length, u64 seed) {
    typed *head = NULL;
    for (u64 n = 0; n < length; n++) {
        typed *made = GC_MALLOC(sizeof *made + words * sizeof *made->body);
        made->next = head;
        for (size_t at = 0; at < words; at++) made->body[at] = seed + n;
        head = used(made);
    }
    u64 seen = 0;
    for (; head; head = head->next) seen += head->body[0];
    return seen;
}

static void run_types(const sizes *size) {
    static const size_t words[] = {1, 2, 3, 5, 7, 11, 15, 23};
    u64 seen = 0;
    double started = now_ns();
    for (u64 seed = 0; seed < size->type_rounds; seed++)
        for (size_t kind = 0; kind < sizeof words / sizeof *words; kind++)
            for (int type = 0; type < 25; type++) seen += typed_list(words[kind], 8, seed);
    figure("object", "ns", (now_ns() - started) / ((double)size->type_rounds * 200 * 8));
    finish(seen);
}

/* ---- Sizes that change ---- */

static u64 words_of(size_t hour, random_t *random) {
    switch (hour % 4) {
    case 0: return 1 + below(random, 8);
    case 1: return 16 + below(random, 48);
    case 2: return 64 + below(random, 192);
    default: return 1 + below(random, 128);
    }
}

static double payload(const u64 *words, size_t slots) {
    u64 bytes = 0;
    for (size_t slot = 0; slot < slots; slot++) bytes += words[slot] ? 32 + 8 * words[slot] : 0;
    return (double)bytes;
}

static void run_fragment(const sizes *size) {
    size_t count = size->fragmented_slots, replaced = 0;
    u64 *held_words = calloc(count, sizeof *held_words);
    double before = resident_kib("VmRSS:");
    entry **slots = GC_MALLOC(count * sizeof *slots);
    random_t random = random_new(5);
    double payload_max = 0, started = now_ns();
    for (size_t hour = 0; hour < size->hours; hour++) {
        for (size_t n = 0; n < 4 * count / 32 * 32; n++) {
            size_t slot = below(&random, count);
            u64 words = words_of(hour, &random);
            if (slot % 8 == 0 && held_words[slot] > 0 && hour % 8 > 0) continue;
            held_words[slot] = words;
            slots[slot] = new_entry(slot, words, NULL);
            replaced++;
        }
        double bytes = payload(held_words, count);
        if (bytes > payload_max) payload_max = bytes;
    }
    double nanos = now_ns() - started;
    double end = resident_kib("VmRSS:") - before, peak = resident_kib("VmHWM:") - before;
    u64 seen = 0;
    for (size_t slot = 0; slot < count; slot++) seen += sum_entry(slots[slot]);
    figure("replacement", "ns", nanos / (double)replaced);
    figure("end/live", "x", end * 1024 / payload(held_words, count));
    figure("peak/live", "x", peak * 1024 / payload_max);
    finish(seen);
}

int main(int count, char **arguments) {
    if (count == 2 && !strcmp(arguments[1], "version")) {
        unsigned version = GC_get_version();
        printf("%u.%u.%u\n", version >> 16, version >> 8 & 255, version & 255);
        return 0;
    }
    if (count != 4) return 2;
    GC_INIT();
    GC_allow_register_threads();
    const char *workload = arguments[1];
    const sizes *size = strcmp(arguments[2], "quick") ? &FULL : &QUICK;
    if (!strcmp(workload, "binary-trees")) run_trees(size->trees_depth);
    if (!strcmp(workload, "binary-trees-large")) run_trees(size->trees_large_depth);
    if (!strcmp(workload, "churn")) run_churn(size);
    if (!strcmp(workload, "dying")) run_dying(size);
    if (!strcmp(workload, "requests")) run_requests(size);
    if (!strcmp(workload, "edge-stores")) run_stores(size);
    if (!strcmp(workload, "two-threads")) run_threads(size->trees_depth);
    if (!strcmp(workload, "collect-tree")) collect_tree(size);
    if (!strcmp(workload, "collect-random")) collect_random(size);
    if (!strcmp(workload, "collect-list")) collect_list(size);
    if (!strcmp(workload, "collect-array")) collect_array(size);
    if (!strcmp(workload, "types")) run_types(size);
    if (!strcmp(workload, "fragmentation")) run_fragment(size);
    return 2;
}
