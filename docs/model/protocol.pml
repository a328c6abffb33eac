/* The protocol of gc-core: many mutators, background collection, no stop of the world.
 *
 * docs/model/README.md says what each step stands for, lists every switch and gives the results;
 * .ci/model and .ci/model-large run it (with lib.sh beside this file). The model is sequentially consistent: what orders the
 * accesses of the implementation is loom's and TSan's business, not spin's.
 *
 * Objects are numbered 1..N, have one pointer field and are a span of their own. `col` is the
 * state byte: 0 is free, otherwise the colour of the last cycle that marked the object or in whose
 * name it was allocated. `live` is a ghost: what was really handed out.
 *
 * A d_step is one access to shared memory together with what its thread does privately, or the
 * critical section of a lock.
 *
 * Spin's cpp takes `1..N` for one token, so loops over objects count by hand.
 */

/* ---------------------------------------------------------------- bounds */
#ifndef N
#define N 3                     /* objects, at most 4 */
#endif
#ifndef NCOL
#define NCOL 2                  /* colours taken in turn; two do for cycles that are never voided */
#endif
#ifndef VOID
#define VOID 0                  /* voided cycles in a row */
#endif
/* GEN: generational cycles. A cycle has a mark colour, `nc`, and a birth colour, `nn`; at the beginning
 * a cycle has ended with 1 and 2, with START_ONE it had the one colour 1. */
/* CYCLES=n stops the collector after n cycles; without it cycles go on for ever. */

/* What a mutator may do, as a set. A mutator with the empty set only answers handshakes. */
#define LOAD   1                /* r1 = r0.f                                     */
#define WALK   2                /* r0 = r0.f, the hand keeps r1                  */
#define PARK   4                /* r0 = r1: onto the value stack                 */
#define DROP   8                /* r1 = null                                     */
#define ALLOC  16               /* r1 = a new object                             */
#define STORE  32               /* r0.f = r1, with the barrier when it is on     */
#define SWAP   64               /* as STORE, and r1 = the old value              */
#define GET    128              /* r1 = a root                                   */
#define SETROOT 256             /* an empty root slot = r1                       */
#define DROPROOT 512            /* a root slot = null                            */
#define UPGRADE 1024            /* r1 = what the weak or ephemeron cell holds    */
#define EXIT   2048             /* leave the registry; attach again              */
#define JOIN   4096             /* attach, with START_DETACHED                   */
#define INIT   8192             /* r1 = a new object, born with its field = r1   */
#define MAKE   16384            /* the cell, which is then not there at first: to r1, or from key r1 to value r0 */
#define BASIC  (LOAD | WALK | PARK | DROP | ALLOC | STORE | SWAP)
#ifndef OPS0
#define OPS0 BASIC
#endif
#ifndef OPS1
#define OPS1 0                  /* SOLO: the second mutator only answers         */
#endif
#define CAN(op) (((me == 0 -> (OPS0) : (OPS1)) & (op)) != 0)

/* ---------------------------------------------------------------- state */
#define OFF   0
#define GREY  1
#define BLACK 2

#define NONE     0              /* the handshake half of `request` */
#define ARM      1
#define SETTLE   2
#define SNAPSHOT 3

#define IDLE  0                 /* Idle and Sweep: nobody in the protocol tells them apart  */
#define MARK  1                 /* Arm, Settle, Snapshot and Mark: likewise                 */
#define TERM  2
#define CLEAR 3

#define BIT(o) (1 << (o))
#define HAS(set, o) (((set) & BIT(o)) != 0)
#define ME m[me]

/* r0 is a live slot of the value stack: it outlives `enter` and is shaded at Snapshot. r1 is a
 * branded pointer in the hands of user code: gone at every edge of `enter`. */
typedef Mutator_ { byte r0; byte r1; byte colour; byte bar; byte bcol; byte answered; byte grey;
                   bool attached; bool shading;
#ifdef GEN
                   byte remembered;     /* its private list */
#endif
                 };
Mutator_ m[2];

byte col[N + 1];
byte f[N + 1];
byte live = 0;
byte settled = 1;               /* c(k) of the last completed cycle  */
byte nc = 1;                    /* c(k) of the cycle that runs       */
byte request = NONE;
byte phase = IDLE;
byte injector = 0;
byte todo = 0;                  /* the coordinator's private stack   */
#ifdef GEN
#define TWO    0                /* the cycle before ended and had two colours: a young one may follow */
#define ONE    1
#define VOIDED 2
#ifdef START_ONE
#define BORN 1                  /* the colour of what no old object leads to, at the beginning */
#else
#define BORN 2
#endif
byte nn = BORN;                 /* n(k): the cycle's objects are born in it, by each mutator from its Snapshot on */
byte birth = BORN;              /* newcomers': n(k-1) until Snapshot is asked for    */
byte held = BIT(1) | BIT(BORN); /* colours that bytes may have                      */
byte before = (BORN == 1 -> ONE : TWO);         /* how the cycle before ended       */
bool young = 0;                 /* the cycle that runs keeps the marks of the one before */
byte remembered = 0;            /* the shared list                                  */
#define MARKED(o) (col[o] == nc || col[o] == nn)        /* what the sweep keeps     */
#else
#define BORN 1
#define nn nc                   /* one colour for both */
#define MARKED(o) (col[o] == nc)
#endif
#ifdef ROOTS
byte root[2];
bool armed = 0;
byte rcol = 1;
#endif
#ifdef EPHEMERON
#define CELL_FIRST 3            /* the value; alive while the key is */
#if ((OPS0) | (OPS1)) & MAKE
byte key = 0;
#else
byte key = 2;
#endif
#else
#define CELL_FIRST 2            /* the weak cell's target */
#endif
#if defined(WEAK) || defined(EPHEMERON)
#if ((OPS0) | (OPS1)) & MAKE
byte cell = 0;
byte made_for = 0;              /* ghost: what the cell was made for                 */
#else
byte cell = CELL_FIRST;         /* the cell itself never dies and is never set again */
#define made_for CELL_FIRST
#endif
bool cell_dead = 0;             /* ghost: what the cell was made for has been freed  */
#endif
#if (defined(JUNK) || defined(WEAK)) && !defined(WRONG_SHADE_UNANNOUNCED)
#define ANNOUNCED               /* a barrier says that it is about to shade                   */
#define OPEN_ 0
#define DECIDED 1
#define CLOSED 2
byte list = OPEN_;              /* LateGreys: both are one word in the implementation, */
bool late = 0;                  /* hence read and changed together here                */
#endif
#ifdef WEAK
bool told_dead = 0;             /* ghost: an upgrade has answered "dead"               */
#endif
#ifdef HELPER
bool gate = 0;                  /* one atomic word in the implementation, */
byte helpers = 0;                /* hence read and changed together here   */
#endif
#ifdef ATTACH
bool registry_locked = 0;
#endif

byte hx, hy, hr, hi;            /* scratch inside d_steps, zero outside them */

/* Never set. They stand in assertions so that a counterexample names what it broke. */
bool freed_reachable, bad_pointer, late_grey, count_increased, free_marked, stale_upgrade, came_back, cleared_reachable;

/* ---------------------------------------------------------------- shading */
#if defined(WRONG_JUNK_NOCHECK)
#define REFUSE skip             /* nobody looks: Go without its debug checks */
#elif defined(JUNK_POLICY)
#define REFUSE skip             /* report, do not push, do not mark, do not follow */
#else
#define REFUSE assert(bad_pointer)
#endif

/* Barriers may be sent on by junk; what a scan meets has to be sound all the same. */
#if defined(JUNK_POLICY) && !defined(JUNK)
#define REFUSE_SCAN skip
#else
#define REFUSE_SCAN assert(bad_pointer)
#endif

/* Late work is a fault. Where junk may lead to what is dead it goes back to marking, or the flip is decided
 * and it does not happen. */
#if defined(NO_LATE_CHECK) || (defined(JUNK) && !defined(ANNOUNCED))
#define NOT_LATE true
#elif defined(JUNK)
#define NOT_LATE (phase == IDLE -> late_grey : 1)
#elif VOID > 0                  /* the barriers of a voided cycle are still on when it is Idle */
#define NOT_LATE (phase == CLEAR -> late_grey : 1)
#else
#define NOT_LATE (phase == IDLE || phase == CLEAR -> late_grey : 1)
#endif

/* What was born since the snapshot was asked for is black. Neither a black mutator's barrier nor a root shades it;
 * it would be late work, since such an object may turn up after termination. */
#if defined(GEN) && !defined(WRONG_NEWBORN_SHADED)
#define DONE(o) (col[o] == ME.bcol || (ME.bar == BLACK && col[o] == ME.colour))
#define NEWBORN(o) (col[o] == nn)
#else
#define DONE(o) (col[o] == ME.bcol)
#define NEWBORN(o) false
#endif

/* The compare-and-swap from the white seen. Inside a d_step. */
#if defined(WRONG_JUNK_NOCHECK) || defined(WRONG_BLIND_MARK)
#define MARK_FROM(p, white, colour_) \
  assert(HAS(live, p) || MARKING_FREE_ALLOWED || free_marked); col[p] = colour_
#else
#define MARK_FROM(p, white, colour_) \
  if :: col[p] == white -> assert(HAS(live, p) || free_marked); assert(NOT_LATE); col[p] = colour_ \
     :: else fi
#endif
#ifdef WRONG_JUNK_NOCHECK
#define MARKING_FREE_ALLOWED true   /* left to the sweep to find */
#else
#define MARKING_FREE_ALLOWED false
#endif

inline push_and_mark(p) {
#ifdef WRONG_MARK_THEN_PUSH
  d_step { MARK_FROM(p, w, ME.bcol); w = 0 };
  ME.grey = ME.grey | BIT(p)
#else
  ME.grey = ME.grey | BIT(p);           /* stealable from here on */
  d_step { MARK_FROM(p, w, ME.bcol); w = 0 }
#endif
}

/* Store::shade_announced: the slot may have been swept since it was looked at first. */
inline shade_now(p) {
  if
  :: d_step { DONE(p) -> skip }
#ifndef WRONG_JUNK_NOCHECK
  :: d_step { col[p] == 0 -> REFUSE }
  :: d_step { col[p] != 0 && !DONE(p) -> w = col[p] };
#else
  :: d_step { !DONE(p) -> w = col[p] };
#endif
     push_and_mark(p)
  fi
}

/* Store::shade. `p` and `w` are locals of the caller; w is the white that was seen. */
inline shade(p) {
  if
  :: d_step { p == 0 || DONE(p) -> skip }
#ifndef WRONG_JUNK_NOCHECK
  :: d_step { p != 0 && col[p] == 0 -> REFUSE }
  :: d_step { p != 0 && col[p] != 0 && !DONE(p) -> w = col[p] };
#else
  :: d_step { p != 0 && !DONE(p) -> w = col[p] };
#endif
#ifdef ANNOUNCED
     ME.shading = 1;
     if
     :: phase == IDLE                   /* flipped: left to the sweep */
     :: phase == MARK -> shade_now(p)
     :: phase == TERM || phase == CLEAR ->
        if
        :: d_step { list == OPEN_ -> late = 1 }; shade_now(p)
        :: list != OPEN_ ->
#ifndef WRONG_DECIDED_UNLOOKED
           if
           :: DONE(p)                   /* decided: what can be reached is marked */
           :: !DONE(p) ->
#endif
              if
              :: list == CLOSED
              :: d_step { list != CLOSED -> late = 1 }; shade_now(p)
              fi
#ifndef WRONG_DECIDED_UNLOOKED
           fi
#endif
        fi
     fi;
     d_step { w = 0; ME.shading = 0 }
#else
     push_and_mark(p)
#endif
  fi
}

/* Shared::shade_root, inside a lock that keeps the slot from changing. Inside a d_step. */
inline shade_locked(p, colour_) {
  if
  :: p != 0 && col[p] == 0 -> REFUSE
  :: p != 0 && col[p] != 0 && col[p] != colour_ && !NEWBORN(p) ->
     assert(HAS(live, p) || free_marked); assert(NOT_LATE);
     injector = injector | BIT(p); col[p] = colour_
  :: else
  fi
}

#ifdef GEN
/* The barrier's last step before the store of a value that was born since the mutator's Snapshot. */
#ifdef WRONG_UNREMEMBERED
#define REMEMBERS(p) false
#else
#define REMEMBERS(p) (ME.bar != GREY && ME.colour != ME.bcol && (p) != 0 && col[p] == ME.colour)
#endif
inline promote(p) {
  d_step { if :: col[p] == ME.colour -> col[p] = ME.bcol :: else fi }
}
#else
#define REMEMBERS(p) false
#endif

/* hx = the lowest object of a set that is not empty. Inside a d_step. */
inline lowest(set) {
  hx = 1;
  do :: HAS(set, hx) -> break :: else -> hx++ od
}

/* ---------------------------------------------------------------- the root table */
#ifdef ROOTS
/* Both inside a d_step: the table's lock is held. */
inline add_root(p) {
#ifndef WRONG_ROOTS_NO_INSERT
  if :: armed -> hr = p; shade_locked(hr, rcol); hr = 0 :: else fi;
#endif
  if :: root[0] == 0 -> root[0] = p :: else -> root[1] = p fi
}

inline drop_root(i) {
#ifndef WRONG_ROOTS_UNARMED
  if :: armed -> hr = root[i]; shade_locked(hr, rcol); hr = 0 :: else fi;
#endif
  root[i] = 0
}

/* RootTable::addresses_into, and the shades that follow it. Inside a d_step. */
inline scan_roots() {
  hi = 0;
  do
  :: hi < 2 -> hr = root[hi]; shade_locked(hr, nc); hi++
  :: else -> break
  od;
  hi = 0; hr = 0
}
#endif

/* ---------------------------------------------------------------- mutators */
#define SOMEFREE (col[1] == 0 || col[2] == 0 || col[N - 1] == 0 || col[N] == 0)

#ifdef WRONG_CLEAR_MARKS
#define ALLOCATION_COLOUR (phase == MARK && ME.answered == SNAPSHOT -> 2 : 1)
#elif defined(WRONG_BORN_OLD)
#define ALLOCATION_COLOUR (ME.bar == BLACK -> ME.bcol : ME.colour)
#else
#define ALLOCATION_COLOUR ME.colour
#endif

#if defined(WEAK) || defined(EPHEMERON)
/* The upgrade's result. Inside a d_step. */
inline give(t) {
#ifdef WEAK
  if :: t != 0 -> assert(!cell_dead || stale_upgrade); assert(!told_dead || came_back); ME.r1 = t :: else fi
#else
  if :: t != 0 -> assert(!cell_dead || stale_upgrade); ME.r1 = t :: else fi
#endif
}

#if defined(GEN) && !defined(WRONG_WEAK_UPGRADES_MARKED)
#define ALIVE(o) (col[o] == ME.bcol || col[o] == ME.colour)   /* black here */
#else
#define ALIVE(o) (col[o] == ME.bcol)
#endif

/* After termination only what is marked may be returned. */
inline if_marked() {
  old = cell;
  if
  :: old == 0
  :: old != 0 ->
     if
     :: !ALIVE(old) ->
#ifdef WEAK
        /* In Terminate it waits for the decision, in Clear it answers. */
        if :: d_step { answers && phase == CLEAR -> told_dead = 1 } :: else fi
#else
        skip
#endif
     :: ALIVE(old) ->
        if
        :: d_step { reread && cell != old -> skip }
        :: d_step { !reread || cell == old -> give(old) }
        fi
     fi
  fi
}
#ifdef EPHEMERON
#define MAY_UPGRADE (ME.r0 == key)      /* the value is looked up with the key in hand */
#else
#define MAY_UPGRADE true
#endif
#endif

/* Both inside a d_step: whoever answers owns the mutator's record. */
inline answer_arm(colour_) {
  ME.bar = GREY; ME.bcol = colour_;
#if defined(GEN) && !defined(WRONG_HANDOVER_LATE)
  remembered = remembered | ME.remembered; ME.remembered = 0;
#endif
#ifdef WRONG_BLACK_EARLY
  ME.colour = colour_;
#endif
}

inline answer_snapshot(colour_, birth_) {
  ME.r1 = 0;                            /* empty hands */
  hr = ME.r0; shade_locked(hr, colour_); hr = 0;
#ifdef GEN
  ME.bar = BLACK; ME.colour = birth_;
#ifdef WRONG_HANDOVER_LATE
  remembered = remembered | ME.remembered; ME.remembered = 0
#endif
#else
  ME.bar = BLACK; ME.colour = birth_
#endif
}

proctype Mutator(byte me) {
  byte old, w;
#ifdef JUNK
  byte junk;                    /* what a dead frame left in a slot nobody has written yet */
#endif
#if defined(WEAK) || defined(EPHEMERON)
  bool reread, answers;
#endif
#ifdef SPLIT_ANSWER
  byte asked, asked_colour;
#ifdef GEN
  byte asked_birth;
#else
#define asked_birth asked_colour
#endif
#endif
end:
  do
  /* ---- user code inside `enter` ---- */
  :: d_step { CAN(LOAD) && ME.r0 != 0 -> assert(HAS(live, ME.r0) || freed_reachable); ME.r1 = f[ME.r0] }
  :: d_step { CAN(WALK) && ME.r0 != 0 && f[ME.r0] != 0 -> ME.r0 = f[ME.r0] }
  :: d_step { CAN(PARK) && ME.r1 != 0 -> ME.r0 = ME.r1 }
  :: d_step { CAN(DROP) && ME.r1 != 0 ->
#ifdef JUNK
       junk = ME.r1;
#endif
       ME.r1 = 0 }
  :: d_step { CAN(ALLOC) && ME.r1 == 0 && ME.attached && SOMEFREE ->
       hx = 1;
       do :: col[hx] == 0 -> break :: else -> hx++ od;  /* free slots are interchangeable */
       live = live | BIT(hx);
       col[hx] = ALLOCATION_COLOUR;
       f[hx] = 0;
       ME.r1 = hx; hx = 0 }
  /* Initialising stores have no barrier: nobody else knows the object yet. */
  :: d_step { CAN(INIT) && ME.r1 != 0 && ME.attached && SOMEFREE ->
       hx = 1;
       do :: col[hx] == 0 -> break :: else -> hx++ od;
       live = live | BIT(hx);
       col[hx] = ALLOCATION_COLOUR;
       f[hx] = ME.r1;
       ME.r1 = hx; hx = 0 }
  /* Store::replace. Between the first and the last step there is no poll. */
  :: d_step { CAN(STORE) && ME.r0 != 0 && ME.bar == OFF && !REMEMBERS(ME.r1) -> f[ME.r0] = ME.r1 }
  :: d_step { CAN(SWAP) && ME.r0 != 0 && ME.bar == OFF && !REMEMBERS(ME.r1) ->
       hx = f[ME.r0]; f[ME.r0] = ME.r1; ME.r1 = hx; hx = 0 }
#ifdef GEN
  :: d_step { CAN(STORE | SWAP) && ME.r0 != 0 && ME.bar == OFF && REMEMBERS(ME.r1) ->
       old = f[ME.r0];
       ME.remembered = ME.remembered | BIT(ME.r1) };
     promote(ME.r1);
     if
     :: d_step { CAN(STORE) -> f[ME.r0] = ME.r1; old = 0 }
     :: d_step { CAN(SWAP) -> hx = f[ME.r0]; f[ME.r0] = ME.r1; ME.r1 = hx; hx = 0; old = 0 }
     fi
#endif
  :: d_step { CAN(STORE | SWAP) && ME.r0 != 0 && ME.bar != OFF -> old = f[ME.r0] };
#ifndef WRONG_NO_DELETE
     shade(old);
#endif
#ifndef WRONG_NO_INSERT
     if :: ME.bar == GREY -> shade(ME.r1) :: else fi;
#endif
#ifdef GEN
     if
     :: d_step { REMEMBERS(ME.r1) -> ME.remembered = ME.remembered | BIT(ME.r1) }; promote(ME.r1)
     :: d_step { else -> skip }
     fi;
#endif
     if
     :: d_step { CAN(STORE) -> f[ME.r0] = ME.r1; old = 0 }
     :: d_step { CAN(SWAP) -> f[ME.r0] = ME.r1; ME.r1 = old; old = 0 }
     fi
#ifdef JUNK
  /* golang/go#30041: a result goes through the barrier into a slot that was never initialised. */
  :: ME.bar != OFF && me == 0 -> shade(junk); junk = ME.r1
#endif
#ifdef ROOTS
  /* Roots: Scope::get reads without the lock; Scope::root and Root::drop are one critical section. */
  :: d_step { CAN(GET) && ME.attached && root[0] != 0 -> ME.r1 = root[0] }
  :: d_step { CAN(GET) && ME.attached && root[1] != 0 -> ME.r1 = root[1] }
  :: d_step { CAN(SETROOT) && ME.r1 != 0 && (root[0] == 0 || root[1] == 0) -> add_root(ME.r1) }
  :: d_step { CAN(DROPROOT) && root[0] != 0 -> drop_root(0) }
  :: d_step { CAN(DROPROOT) && root[1] != 0 -> drop_root(1) }
#endif
#if defined(WEAK) || defined(EPHEMERON)
  /* Scope::upgrade */
  :: d_step { CAN(UPGRADE) && ME.r1 == 0 && cell != 0 && ME.bar == OFF && MAY_UPGRADE -> give(cell) }
  :: d_step { CAN(UPGRADE) && ME.r1 == 0 && cell != 0 && ME.bar != OFF && MAY_UPGRADE ->
#ifndef WRONG_WEAK_NAIVE
       ME.shading = 1
#else
       skip
#endif
     };
     if
     :: phase == MARK -> old = cell; shade(old); d_step { give(old) }
     :: phase == TERM ->
#ifdef WRONG_TERM_NO_REREAD
        reread = 0;
#else
        reread = 1;
#endif
        if_marked()
     :: phase == CLEAR ->
#ifdef WRONG_CLEAR_NO_REREAD
        reread = 0;
#else
        reread = 1;
#endif
        answers = 1;
        if_marked()
     :: phase == IDLE -> d_step { give(cell) }
     fi;
     d_step { old = 0; reread = 0; answers = 0; ME.shading = 0 }
#endif
#if (defined(WEAK) || defined(EPHEMERON)) && (((OPS0) | (OPS1)) & MAKE)
  :: d_step { CAN(MAKE) && made_for == 0 && ME.r1 != 0 ->
#ifdef EPHEMERON
       key = ME.r1; cell = ME.r0;
#else
       cell = ME.r1;
#endif
       made_for = cell }
#endif
#ifdef ATTACH
  :: d_step { CAN(EXIT) && ME.attached && !registry_locked ->
       ME.r0 = 0; ME.r1 = 0;
#ifndef WRONG_EXIT_LATE_HANDOVER
       injector = injector | ME.grey; ME.grey = 0;
#endif
#ifdef GEN
#ifndef WRONG_EXIT_FORGETS
       remembered = remembered | ME.remembered;
#endif
       ME.remembered = 0;
#endif
       ME.attached = 0 };
#ifdef WRONG_EXIT_LATE_HANDOVER
     d_step { injector = injector | ME.grey; ME.grey = 0 }
#endif
  :: d_step { CAN(EXIT | JOIN) && !ME.attached && !registry_locked ->
       ME.attached = 1;
       ME.answered = request;
       ME.bcol = nc;
#if defined(GEN) && !defined(WRONG_ATTACH_BLACK) && !defined(WRONG_ATTACH_WHITE)
       ME.colour = birth;
#elif defined(WRONG_ATTACH_BLACK)
       ME.colour = nc;
#elif defined(WRONG_ATTACH_WHITE)
       ME.colour = settled;
#else
       if
       :: request == NONE || request == SNAPSHOT -> ME.colour = nc
       :: else -> ME.colour = settled
       fi;
#endif
       if
       :: request == NONE -> ME.bar = OFF
       :: request == SNAPSHOT -> ME.bar = BLACK
       :: else -> ME.bar = GREY
       fi }
#endif
#ifdef SPLIT_ANSWER
  /* Between the reading of the request and the answer the cycle may be voided and the next begin.
   * Request and cycle are one word, so a late answer is an answer to the old cycle. */
  :: d_step { ME.attached && ME.answered < request ->
       asked = request;
#ifdef GEN
       asked_birth = nn;
#endif
       asked_colour = nc };
     d_step {
#ifdef WRONG_TWO_WORDS
       asked_colour = nc;               /* the cycle is read after the handshake */
#endif
       if :: ME.answered < ARM || asked_colour != nc -> answer_arm(asked_colour) :: else fi;
       if :: asked == SNAPSHOT -> answer_snapshot(asked_colour, asked_birth) :: else fi;
       if :: asked_colour == nc -> ME.answered = asked :: else fi;
#ifdef GEN
       asked_birth = 0;
#endif
       asked = 0; asked_colour = 0 }
#else
  /* ---- handshake::poll: Arm and Settle, at any poll ---- */
  :: d_step { ME.attached && request >= ARM && ME.answered < ARM -> answer_arm(nc); ME.answered = ARM }
  :: d_step { ME.attached && request >= SETTLE && ME.answered == ARM -> ME.answered = SETTLE }
  /* ---- handshake::answer_parked: empty hands, by the mutator at an edge of `enter` or by the
   *      collector while the mutator is out; presence makes the two exclude each other ---- */
  :: d_step { ME.attached && request == SNAPSHOT && ME.answered < SNAPSHOT ->
       if :: ME.answered < ARM -> answer_arm(nc) :: else fi;
       answer_snapshot(nc, nn);
       ME.answered = SNAPSHOT }
#endif
  /* rest_barrier: for speed only */
  :: d_step { phase == IDLE && ME.bar != OFF -> ME.bar = OFF }
  od
}

#ifdef ROOTS
/* A thread without a mutator that owns handles: it clones and drops them. */
proctype Keeper() {
end:
  do
  :: d_step { root[0] != 0 && root[1] == 0 -> add_root(root[0]) }
  :: d_step { root[0] == 0 && root[1] != 0 -> add_root(root[1]) }
  :: d_step { root[0] != 0 -> drop_root(0) }
  :: d_step { root[1] != 0 -> drop_root(1) }
  od
}
#endif

/* ---------------------------------------------------------------- markers */
/* Marker::visit_grey: what was stolen is looked at again; it is marked already, or about to be. */
inline look_again(stolen, current) {
  if
#ifndef WRONG_JUNK_NOCHECK
  :: col[stolen] == 0 -> REFUSE_SCAN
  :: else ->
#else
  :: true ->
#endif
     if
     :: col[stolen] != nc -> assert(HAS(live, stolen) || MARKING_FREE_ALLOWED || free_marked); col[stolen] = nc
     :: else
     fi;
     current = stolen
  fi;
  stolen = 0
}

/* What was born marked is visited too: an old object leads to it, so it has to be old as well. */
#ifdef WRONG_NEWBORN_UNPROMOTED
#define VISITED(o) MARKED(o)
#else
#define VISITED(o) (col[o] == nc)
#endif

/* Marker::visit: what a scan found is marked when it leaves the private stack. */
inline visit_next(stack, current) {
  lowest(stack);
  stack = stack & ~BIT(hx);
  if
  :: VISITED(hx)
#ifndef WRONG_JUNK_NOCHECK
  :: col[hx] == 0 -> REFUSE_SCAN
  :: col[hx] != 0 && !VISITED(hx) ->
#else
  :: !VISITED(hx) ->
#endif
     assert(HAS(live, hx) || MARKING_FREE_ALLOWED || free_marked);
     col[hx] = nc; current = hx
  fi;
  hx = 0
}

/* Marker::scan: one Acquire load of the slot. */
inline scan(stack, current) {
  if :: f[current] != 0 -> stack = stack | BIT(f[current]) :: else fi;
  current = 0
}

inline steal(deque, stolen) {
  lowest(deque);
  deque = deque & ~BIT(hx);
  stolen = hx; hx = 0
}

#ifdef HELPER
/* A collector thread, or a mutator that assists. */
proctype Helper() {
  byte stolen, current, stack;
end:
  do
#ifdef WRONG_GATE_SPLIT
  :: helpers == 0 && gate -> helpers = 1
#else
  :: d_step { helpers == 0 && gate -> helpers = 1 }
#endif
  :: d_step { helpers && !stolen && !current && !stack && m[0].grey -> steal(m[0].grey, stolen) }
  :: d_step { helpers && !stolen && !current && !stack && injector -> steal(injector, stolen) }
  :: d_step { stolen != 0 -> look_again(stolen, current) }
  :: d_step { current != 0 -> scan(stack, current) }
  :: d_step { stack && !current -> visit_next(stack, current) }
  :: d_step { helpers && !stolen && !current -> injector = injector | stack; stack = 0 };
     helpers = 0
  od
}
#endif

/* ---------------------------------------------------------------- the cycle */
#ifdef ATTACH
#define ANSWERED(i, h) (!m[i].attached || m[i].answered >= h)
#else
#define ANSWERED(i, h) (m[i].answered >= h)
#endif
#define ALL(h) (ANSWERED(0, h) && ANSWERED(1, h))
#define REGISTERED(i) m[i].attached
#if defined(WEAK) || defined(EPHEMERON) || defined(ANNOUNCED)
#define DECIDES                 /* somebody asks whether a termination is under way */
#endif
#if defined(ANNOUNCED) && !defined(WRONG_DECIDED_UNASKED)
#define MARK_ON late = 0        /* who was admitted is waited for by the next termination */
#else
#define MARK_ON skip
#endif

/* What the clearing of cells takes for alive. */
#ifdef WRONG_WEAK_MARKED_ONLY
#define SEEN(o) (col[o] == nc)
#else
#define SEEN(o) MARKED(o)
#endif

/* hr = everything reachable. Inside a d_step. Ephemerons: the value lives while its key does. */
inline reach() {
  hr = BIT(m[0].r0) | BIT(m[0].r1) | BIT(m[1].r0) | BIT(m[1].r1);
#ifdef ROOTS
  hr = hr | BIT(root[0]) | BIT(root[1]);
#endif
  hr = hr & ~1;
  hy = 0;
  do
  :: hy < N ->
     hi = 1;
     do
     :: hi <= N ->
        if :: HAS(hr, hi) && f[hi] != 0 -> hr = hr | BIT(f[hi]) :: else fi;
        hi++
     :: else -> break
     od;
#ifdef EPHEMERON
     if :: key != 0 && HAS(hr, key) && cell != 0 -> hr = hr | BIT(cell) :: else fi;
#endif
     hy++
  :: else -> break
  od;
  hy = 0; hi = 0
}

#if defined(WEAK) || defined(EPHEMERON)
/* A cell is nulled. Inside a d_step. */
inline is_dead(target) {
#ifdef NO_CLEAR_CHECK
  skip
#else
  reach();
  assert(!HAS(hr, target) || cleared_reachable);
  hr = 0
#endif
}
#endif

/* Nothing is freed; all grey work is dropped; the next cycle takes the next colour. */
inline void_cycle() {
  voids--; phase = IDLE; request = NONE; injector = 0; todo = 0; m[0].grey = 0; m[1].grey = 0;
  current = 0; stolen = 0;
#ifdef ROOTS
  armed = 0;
#endif
#ifdef GEN
  before = VOIDED; young = 0;
#endif
}

#ifdef GEN
/* hy = a colour that no byte has: `first`, `second`, or any, so that few sets of colours come up. Inside a d_step. */
inline fresh(first, second) {
  if
  :: !HAS(held, first) -> hy = first
  :: HAS(held, first) && !HAS(held, second) -> hy = second
  :: else -> hy = 1; do :: hy < NCOL && HAS(held, hy) -> hy++ :: else -> break od
  fi;
  held = held | BIT(hy)
}

#if defined(WRONG_YOUNG_AFTER_VOID)
#define MAY_BE_YOUNG (before != ONE)
#elif defined(WRONG_YOUNG_AFTER_ONE)
#define MAY_BE_YOUNG (before != VOIDED)
#else
#define MAY_BE_YOUNG (before == TWO)
#endif

inline open_() {
  m[0].answered = NONE; m[1].answered = NONE;
#ifdef ROOTS
  armed = 1; rcol = nc;
#endif
  phase = MARK; request = ARM
}

/* The colours of the next cycle. Both inside a d_step. */
inline pick_young() {
  young = 1;
  fresh(2, 3); nn = hy; hy = 0
}

inline pick_full() {
  hx = nc;
  fresh(1, 4); nc = hy;
  if
  :: before == VOIDED -> nn = nc
#ifdef WRONG_STALE_COLOUR
  :: else -> nn = hx                    /* what was marked the cycle before looks newborn */
#else
  :: else -> fresh(2, 3); nn = hy
#endif
  fi;
  hx = 0; hy = 0
}
#endif

#if defined(WRONG_YOUNG_SWEEP_ONE)
#define SWEPT(o) (col[o] != nc)
#elif defined(GEN)
#define SWEPT(o) (!MARKED(o))
#else
#define SWEPT(o) (col[o] != settled)
#endif

proctype Collector() {
  byte current, stolen, o;
  bool dry;
#if VOID > 0
  byte voids = VOID;
#endif
#ifdef CYCLES
  byte cycles = CYCLES;
#endif

end_idle:
  skip;
#ifdef CYCLES
  if :: cycles != 0 -> cycles-- :: else -> goto end_finished fi;
#endif
#ifdef GEN
  /* The driver chooses the kind. Handshake, cycle and colours are one word, so they change together. */
  if
  :: d_step { MAY_BE_YOUNG -> pick_young(); open_() }
  :: d_step { true -> pick_full(); open_() }
  fi;
#else
  d_step {                              /* World::open_cycle, phase Arm */
#ifdef WRONG_CLEAR_MARKS
    nc = 2;
#else
    nc = (nc % NCOL) + 1;
#endif
    m[0].answered = NONE; m[1].answered = NONE;   /* answers carry the number of their cycle */
    phase = MARK
  };
#ifdef ROOTS
#ifndef WRONG_ROOTS_ARM_LATE
  d_step { armed = 1; rcol = nc };      /* under the table's lock */
#endif
#endif
#endif
#ifdef WRONG_NO_ARM
  request = SNAPSHOT;
#ifdef ROOTS
  scan_roots();
#endif
#else
#ifndef GEN
  request = ARM;
#endif
  ALL(ARM);
#ifndef WRONG_NO_SETTLE
  request = SETTLE;
  ALL(SETTLE);
#endif
#ifdef GEN
  d_step {
#if defined(WRONG_REMEMBERED_DROPPED)
    skip;
#elif defined(WRONG_REMEMBERED_UNSCANNED)
    if :: young -> todo = remembered :: else fi;        /* visited like others, and they are marked */
#else
    if :: young -> injector = injector | remembered :: else fi;
#endif
#ifdef WRONG_REMEMBERED_KEPT
    if :: young -> remembered = 0 :: else fi
#else
    remembered = 0                      /* a full cycle forgets */
#endif
  };
#endif
#ifdef ROOTS
#ifdef ROOTS_SCAN_LATE
  request = SNAPSHOT;
#endif
  d_step { scan_roots() };
#ifdef WRONG_ROOTS_ARM_LATE
  d_step { armed = 1; rcol = nc };
#endif
#endif
#ifdef ANNOUNCED
  d_step { late = 0; list = OPEN_ };     /* all barriers of the cycle before have ended */
#endif
#ifdef GEN
  d_step { birth = nn; request = SNAPSHOT };
#elif !defined(ROOTS_SCAN_LATE)
  request = SNAPSHOT;
#endif
#endif
#ifdef HELPER
  gate = 1;
#endif

marking:
  do
  :: d_step { current != 0 -> scan(todo, current) }
  :: d_step { stolen != 0 -> look_again(stolen, current) }
  :: d_step { !current && !stolen && todo -> visit_next(todo, current) }
  :: d_step { !current && !stolen && !todo && injector -> steal(injector, stolen) }
  :: d_step { !current && !stolen && !todo && REGISTERED(0) && m[0].grey -> steal(m[0].grey, stolen) }
  :: d_step { !current && !stolen && !todo && REGISTERED(1) && m[1].grey -> steal(m[1].grey, stolen) }
#if VOID > 0
  :: d_step { voids > 0 -> void_cycle() }; goto end_idle
#endif
  :: !current && !stolen && !todo && ALL(SNAPSHOT) -> break
  od;

  /* ---- termination: phase, shades under way, then one look at every deque ---- */
#ifdef HELPER
  gate = 0;
#ifndef WRONG_GATE_IGNORED
  helpers == 0;
#endif
#endif
#ifdef DECIDES
  phase = TERM;
  if
  :: !m[0].shading; !m[1].shading
  :: d_step { phase = MARK; MARK_ON };  /* looked often enough: mark on, come back */
#ifdef HELPER
     gate = 1;
#endif
     goto marking
  fi;
#endif
#ifdef ATTACH
  registry_locked = 1;
#endif
  dry = 1;
  if :: injector -> dry = 0 :: else fi;
  if :: REGISTERED(0) && m[0].grey -> dry = 0 :: else fi;
  if :: REGISTERED(1) && m[1].grey -> dry = 0 :: else fi;
#ifdef ATTACH
  registry_locked = 0;
#endif
#ifdef EPHEMERON
#ifndef WRONG_EPHEMERON_SKIPPED
  d_step {
    if
    :: dry && key != 0 && SEEN(key) && cell != 0 && !SEEN(cell) ->
       todo = todo | BIT(cell); dry = 0
    :: else
    fi
  };
#endif
#endif
  if
  :: !dry ->
#ifdef DECIDES
     d_step { phase = MARK; MARK_ON };
#endif
#ifdef HELPER
     gate = 1;
#endif
     goto marking
  :: else -> dry = 0
  fi;

#if defined(ANNOUNCED) && !defined(WRONG_DECIDED_UNASKED)
  if
  :: d_step { late -> late = 0; phase = MARK }; goto marking
  :: d_step { !late -> list = DECIDED }
  fi;
#endif

  /* ---- clear and flip ---- */
  phase = CLEAR;
#if VOID > 0
  if :: d_step { voids > 0 -> void_cycle() }; goto end_idle :: true fi;   /* the verifier says no */
#endif
#ifdef ANNOUNCED
  if
  :: d_step { late -> late = 0; list = OPEN_; phase = MARK }; goto marking
  :: d_step { !late -> list = CLOSED }
  fi;
#endif
#ifdef WEAK
#ifdef WRONG_CLEAR_AFTER_FLIP
  d_step { settled = nc; phase = IDLE; request = NONE };
#endif
  d_step { if :: cell != 0 && !SEEN(cell) -> is_dead(cell); cell = 0 :: else fi };
#endif
#ifdef EPHEMERON
  d_step { if :: key != 0 && !SEEN(key) -> is_dead(key); key = 0; cell = 0 :: else fi };
#endif
#ifdef GEN
  d_step { before = (nn == nc -> ONE : TWO); young = 0; phase = IDLE; request = NONE };
#else
  d_step { settled = nc; phase = IDLE; request = NONE };
#endif
#ifdef ROOTS
  armed = 0;
#endif
#if VOID > 0
  voids = VOID;
#endif

  /* ---- sweep, beside running mutators; all of it before the next Arm ---- */
  o = 1;
  do
  :: d_step { o <= N ->
       assert(col[o] == 0 || HAS(live, o) || count_increased);   /* more marks than objects */
       if
       :: HAS(live, o) && SWEPT(o) ->
          reach();
          assert(!HAS(hr, o) || freed_reachable);
          hr = 0;
          live = live & ~BIT(o); col[o] = 0; f[o] = 0;
#if defined(WEAK) || defined(EPHEMERON)
          if :: o == made_for -> cell_dead = 1 :: else fi
#endif
#ifdef WRONG_CLEAR_MARKS
       :: HAS(live, o) && col[o] == settled -> col[o] = 1
       :: !HAS(live, o) -> skip
#else
       :: else
#endif
       fi;
       o++ }
#ifdef GEN
  :: d_step { o > N -> o = 0; held = BIT(nc) | BIT(nn) }; break
#else
  :: o > N -> o = 0; break
#endif
  od;
  goto end_idle;
end_finished:
  skip
}

/* ---------------------------------------------------------------- the beginning */
#ifndef START
#define START 1                 /* 1: object 1 points to 2; 2: to 2 and that to 3; 0: object 1 alone */
#endif

init {
  d_step {
    live = BIT(1); col[1] = 1;
#if START >= 1 || defined(WEAK) || defined(EPHEMERON)
    live = live | BIT(2); col[2] = (START >= 1 -> 1 : BORN);
#endif
#if START >= 1
    f[1] = 2;
#endif
#if START >= 2 || defined(EPHEMERON)
    live = live | BIT(3); col[3] = (START >= 2 -> 1 : BORN);
#endif
#if START >= 2
    f[2] = 3;
#endif
    m[0].colour = BORN; m[0].bcol = 1;
#ifndef START_DETACHED
    m[0].attached = 1; m[0].r0 = 1;
#endif
    m[1].colour = BORN; m[1].bcol = 1; m[1].attached = 1;
#ifdef ROOTS
    root[0] = 1;                /* the second mutator has an empty stack */
#else
    m[1].r0 = 1;
#endif
  }
  atomic {
    run Mutator(0); run Mutator(1); run Collector();
#ifdef ROOTS
#ifndef NO_KEEPER
    run Keeper();
#endif
#endif
#ifdef HELPER
    run Helper()
#endif
  }
}
