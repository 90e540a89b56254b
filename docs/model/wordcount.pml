/*
 * The counter's exactly-once protocol, for the model checker spin: docs/delivery.md, "The argument, step by step", which the
 * comments refer to as step 1 to 6. README.md beside this file says what is checked, what is left out and how to run it.
 *
 * Two slots read lines and send what they counted to one reduce, which writes two windows. -DTAKEN=n: at any moment task n gets a
 * successor. The old owner goes on with what it knows until a broker refuses it: a zombie. A crash is the run in which the
 * zombie does nothing before that.
 *
 * Time is counted in windows. A watermark n says that all windows below n are complete; window n contains it.
 */
#define SLOTS 2
#define WINDOWS 2
#define REDUCE SLOTS            /* the tasks: a combine for each slot, and the reduce */
#define TASKS (SLOTS + 1)
#define LOG 24                  /* records that the shuffle partition may get; spin reports more as an error */
#define NONE 255
#define AHEAD 254

/* Where a task is taken over, slot 1 has no lines and follows the clock: more would take hours. Where a combine is, the reduce
   reads and closes at once, the worst case for what must not come too late. */
#ifdef TAKEN
#define LINES(slot) ((slot) == 0 -> 2 : 0)
#define ALL 3
#define EAGER (TAKEN != REDUCE)
#else
#define LINES(slot) ((slot) == 0 -> 2 : 1)
#define ALL 7
#define EAGER false
#endif
#define LINE(slot, n) (2 * (slot) + (n))
#define SET(line) (1 << (line)) /* of one line */
#define TIME(line) ((line) == 1) /* its window: 0 and 1 in slot 0, 0 in slot 1 */

/* Each mutation takes one rule of the protocol away; make model has spin refute every one of them. */
#ifdef ID_PER_MEMBER           /* a transactional id for each member of the group, not for each task */
#define IDS (2 * TASKS)
#define ID(task, generation) ((task) + TASKS * (generation))
#else
#define IDS TASKS
#define ID(task, generation) (task)
#endif

#ifdef ONE_SLOT_CLOSES          /* a window closes when any slot has passed it */
#define DUE (watermark[0] > watermark[1] -> watermark[0] : watermark[1])
#else
#define DUE (watermark[0] < watermark[1] -> watermark[0] : watermark[1])
#endif
#ifdef READ_UNCOMMITTED         /* the reduce reads what is not decided, and what was aborted */
#define VISIBLE(state) true
#define COUNTS(state) true
#else
#define VISIBLE(state) ((state) != OPEN)
#define COUNTS(state) ((state) == COMMITTED)
#endif

/* ---- Kafka ---- */

#define IDLE 0
#define OPEN 1
#define COMMITTED 2
#define ABORTED 3
#define DELETED 4                /* a record below the safe offset: DeleteRecords */

/* What the transaction coordinator knows of a transactional id. A decided transaction is over when its markers have arrived. */
typedef Transactional {
  byte epoch;
  byte state;                  /* IDLE, OPEN, or decided */
  bool logMarker, groupMarker; /* still on their way to the shuffle partition and to the group's offsets */
  byte task;                   /* whose offset the transaction holds */
  byte offset, metadata        /* offset NONE: none */
}
Transactional txn[IDS];

/* The shuffle partition. Control records are left out, and the watermark that holds when the transaction has ended is its last record: of those that
   come ahead only WATERMARK_AT_ONCE takes notice. */
typedef Record {
  byte id;
  byte state;                  /* OPEN until the transaction's marker is here, then as that says */
  byte slot;
  byte window;                 /* of a partial; NONE: this is the transaction's watermark; AHEAD: or so it seemed when it was prepared */
  byte value                   /* the partial's lines as a set, or the watermark */
}
Record shuffle[LOG];
byte end;
byte polled;                   /* how far a reduce has read */

/* The group's offsets: the next line and the watermark of a combine, the safe offset and the closed time of the reduce. */
typedef Offset { byte offset, metadata }
Offset committed[TASKS];

/* How many lines have arrived in each slot's partition. One arrives when it is first read, which is the same as just before:
   nobody else looks. */
byte arrived[SLOTS];

/* EndTxn. The rows of the reduce have a marker too: nobody of the protocol reads them. */
inline decide(decision) {
  txn[id].state = decision;
  txn[id].logMarker = (txn[id].task != REDUCE);
  txn[id].groupMarker = true
}

/* InitProducerID fences whoever used the id, aborts what was left open, and returns when the last transaction is over. */
inline initProducerID() {
  d_step {
    txn[id].epoch++;
    epoch = txn[id].epoch;
    if
    :: txn[id].state == OPEN -> decide(ABORTED)
    :: else
    fi
  }
#ifndef MARKERS_NOT_AWAITED
  txn[id].state == IDLE
#endif
}

/* Requests of an older epoch are refused. */
#define FENCED (txn[id].epoch != epoch)
/* A new transaction waits until the last one is over. */
#define READY (txn[id].state <= OPEN)
/* Where the reduce is eager, combines go on when it has done what it can. */
#define CALM (!EAGER || (txn[REDUCE].state == IDLE && !(polled < end && VISIBLE(shuffle[polled].state))))

inline append(aWindow, aValue) {
  txn[id].state = OPEN;
  shuffle[end].id = id;
  shuffle[end].state = OPEN;
  shuffle[end].slot = slot;
  shuffle[end].window = aWindow;
  shuffle[end].value = aValue;
  end++
}

inline commitOffset(aTask, anOffset, itsMetadata) {
  txn[id].state = OPEN;
  txn[id].task = aTask;
  txn[id].offset = anOffset;
  txn[id].metadata = itsMetadata
}

/* A record's content is dropped where nobody reads it again, so that spin has fewer states to tell apart. */
inline blank(n) {
  shuffle[n].id = 0; shuffle[n].slot = 0; shuffle[n].window = 0; shuffle[n].value = 0
}

byte deleted;                  /* where the log begins */
inline remove(until) {
  do
  :: deleted < until -> blank(deleted); shuffle[deleted].state = DELETED; deleted++
  :: else -> break
  od
}

/* CHECKED: neither the positions nor the watermark (step 4) and the closed time (step 3) ever fall. */
inline setOffset(aTask, anOffset, itsMetadata) {
  assert(anOffset >= committed[aTask].offset && itsMetadata >= committed[aTask].metadata);
  if
  :: aTask == REDUCE -> remove(anOffset)
  :: else
  fi;
  committed[aTask].offset = anOffset;
  committed[aTask].metadata = itsMetadata
}

inline over() {
  if
  :: !txn[id].logMarker && !txn[id].groupMarker -> txn[id].state = IDLE
  :: else
  fi
}

/* The markers of a decided transaction arrive one by one, each at any time after EndTxn was answered. */
proctype Markers(byte id) {
  byte i;
endWait:
  do
  :: d_step { txn[id].logMarker ->
       for (i : 0 .. end - 1) {
         if
         :: shuffle[i].state == OPEN && shuffle[i].id == id ->
            shuffle[i].state = txn[id].state;
            if
            :: txn[id].state == ABORTED -> blank(i)
            :: else -> shuffle[i].id = 0
            fi
         :: else
         fi
       }
       i = 0;
       txn[id].logMarker = false;
       over()
     }
  :: d_step { txn[id].groupMarker ->
       if
       :: txn[id].state == COMMITTED && txn[id].offset != NONE -> setOffset(txn[id].task, txn[id].offset, txn[id].metadata)
       :: else
       fi
       txn[id].offset = NONE; txn[id].metadata = 0; txn[id].task = 0;
       txn[id].groupMarker = false;
       over()
     }
  od
}

/* ---- what is checked; no task looks at it ---- */

byte sent[WINDOWS];            /* lines that committed transactions of combines have in the window */
bool written[WINDOWS];         /* a committed transaction of the reduce has the window's result */

/* CHECKED: a line is in the shuffle topic once (step 2), and not for a window that is written (step 4). */
inline checkSent(w, lines) {
  assert(((sent[0] | sent[1]) & lines) == 0);
  assert(lines == 0 || !written[w]);
  sent[w] = sent[w] | lines
}

/* CHECKED: a window is written once (step 3), with all lines that were sent for it and no others. */
inline checkWritten(w, lines) {
  assert(!written[w]);
  assert(lines == sent[w]);
  written[w] = true
}

/* ---- the tasks ---- */

byte owner[TASKS];             /* the generation whose task it is */

/* A task that is refused asks the group with a heartbeat whether it is still the owner (step 6). */
#define STILL_OWNER(task) (owner[task] == generation)

/* Step 6, how every task begins. */
inline begin(task) {
#ifdef OFFSET_READ_FIRST
  d_step { position = committed[task].offset; said = committed[task].metadata };
  initProducerID()
#else
  initProducerID();
  position = committed[task].offset;
  said = committed[task].metadata
#endif
}

/* What a combine does between two steps, which nobody sees: it reads lines, or finds the partition idle when the clock has
   gone on. */
inline gather() {
  do
  :: position < LINES(slot) ->
       if
       :: position == arrived[slot] -> arrived[slot]++
       :: else
       fi
       w = TIME(LINE(slot, position));
       if
#ifndef LATE_IN_ITS_OWN_WINDOW
       :: w < watermark -> w = watermark /* late: step 4 */
#endif
       :: else -> watermark = (w > watermark -> w : watermark)
       fi
       lines[w] = lines[w] | SET(LINE(slot, position));
       position++
  :: position == arrived[slot] && watermark < WINDOWS - (position < LINES(slot)) -> watermark++
  :: lines[0] || lines[1] || watermark > said -> break
  od;
  w = 0
}

/* The partial counts that were not sent yet. */
inline send() {
  for (w : 0 .. WINDOWS - 1) {
    if
    :: lines[w] != gone[w] -> append(w, lines[w] & ~gone[w]); gone[w] = lines[w]
    :: else
    fi
  }
  w = 0
}

/* What a transaction has left to send. */
inline complete() {
  send();
#ifdef AHEAD_STANDS
  w = (ahead -> ahead : watermark);
  append(NONE, w);
  w = 0;
#else
  append(NONE, watermark); /* the last one holds: step 4 */
#endif
  ahead = 0;
#ifdef OFFSET_APART
  setOffset(slot, position, watermark)
#else
  commitOffset(slot, position, watermark)
#endif
}

/* The combine task of a slot: combine_task.go and combine/combine.go. */
proctype Combine(byte slot; byte generation) {
  byte id = ID(slot, generation), epoch;
  byte position, said;         /* the next line; the watermark of the last transaction */
  byte watermark, w;
  byte lines[WINDOWS];         /* counted since, by window, as sets */
  byte gone[WINDOWS];          /* those of them that were sent */
  byte ahead;                  /* the watermark that will hold if nothing more comes, when it was sent */
  bool prepared;               /* one transaction of slot 0 was: with more it would take hours */
start:
  atomic {
    begin(slot);
#ifdef WATERMARK_NOT_COMMITTED
    said = 0;
#endif
    watermark = said; lines[0] = 0; lines[1] = 0
  };
endRead:
  do
  :: atomic { !FENCED && READY && CALM && (position < LINES(slot) || watermark < WINDOWS) ->
       gather();
       /* A transaction (step 2). Its requests are one step: until EndTxn only the last stable offset tells of them. Or two, when it is prepared. */
       if
       :: complete()
       :: slot == 0 && generation == 0 && !prepared && watermark < WINDOWS ->
          prepared = true;
          send();
          ahead = watermark + 1;
#ifdef WATERMARK_AT_ONCE
          append(AHEAD, ahead)
#endif
       fi
     };
     if
     :: atomic { ahead && !FENCED && CALM -> gather(); complete() }
     :: !ahead || FENCED
     fi;
     atomic { CALM -> /* EndTxn */
       if
       :: FENCED -> break
       :: else ->
          checkSent(0, lines[0]);
          checkSent(1, lines[1]);
          decide(COMMITTED);
          said = watermark; lines[0] = 0; lines[1] = 0; gone[0] = 0; gone[1] = 0
       fi
     }
  :: FENCED -> break
  od;
  atomic {
    position = 0; said = 0; watermark = 0; lines[0] = 0; lines[1] = 0; gone[0] = 0; gone[1] = 0; ahead = 0; epoch = 0; /* as in blank */
    if
    :: STILL_OWNER(slot) -> goto start
    :: else
    fi
  }
}

inline forget() {
  lines[0] = 0; lines[1] = 0; first[0] = NONE; first[1] = NONE;
  watermark[0] = 0; watermark[1] = 0; newest[0] = NONE; newest[1] = NONE
}

/* A record that the reduce reads. */
inline apply() {
  assert(shuffle[position].state != DELETED); /* CHECKED: what is read again is still there */
  s = shuffle[position].slot;
  w = shuffle[position].window;
  if
  :: COUNTS(shuffle[position].state) && w == NONE ->
     assert(shuffle[position].value >= watermark[s]); /* CHECKED: a slot's watermark never falls (step 4) */
     watermark[s] = shuffle[position].value;
     newest[s] = position
#ifdef WATERMARK_AT_ONCE
  :: COUNTS(shuffle[position].state) && w == AHEAD -> watermark[s] = shuffle[position].value; newest[s] = position
#endif
  :: COUNTS(shuffle[position].state) && w < WINDOWS ->
     assert(w >= watermark[s]);                       /* CHECKED: no partial after the watermark that closes its window */
     if
     :: w < said /* written before the crash: step 3 */
     :: else ->
        lines[w] = lines[w] | shuffle[position].value;
        first[w] = (first[w] < position -> first[w] : position)
     fi
  :: else
  fi;
  position++;
  s = 0; w = 0
}

/* The reduce task of the shuffle partition: reduce_task.go and reduce/reduce.go. */
proctype Reduce(byte generation) {
  byte id = ID(REDUCE, generation), epoch;
  byte position, said;         /* the next record; the closed time: windows below it are written */
  byte lines[WINDOWS];         /* of the windows that are open, as sets */
  byte first[WINDOWS];         /* offset of the window's earliest partial */
  byte watermark[SLOTS];
  byte newest[SLOTS];          /* offset of the slot's newest watermark */
  byte due, safe, s, w;
start:
  atomic {
    begin(REDUCE);
#ifdef CLOSED_NOT_COMMITTED
    said = 0;
#endif
    forget()
  };
endRead:
  do
  :: atomic { !FENCED && position < end && VISIBLE(shuffle[position].state) -> /* a poll: all below the last stable offset */
       d_step {
         do
         :: position < end && VISIBLE(shuffle[position].state) -> apply()
         :: else -> break
         od;
         polled = position
       };
       if
       :: DUE > said -> /* close what all slots have passed: a transaction (step 3) */
          due = DUE;
          safe = position;
          /* the earliest partial of a window that stays open, and each slot's newest watermark */
#ifndef SAFE_WITHOUT_PARTIALS
          for (w : due .. WINDOWS - 1) { safe = (first[w] < safe -> first[w] : safe) }
#endif
#ifndef SAFE_WITHOUT_WATERMARKS
          for (s : 0 .. SLOTS - 1) { safe = (newest[s] < safe -> newest[s] : safe) }
#endif
          s = 0; w = 0;
          FENCED || READY;
          if
          :: FENCED -> break
          :: else ->
             if
             :: true
             :: safe = committed[REDUCE].offset /* as far as it had been before: the transaction was prepared */
             fi;
#ifdef OFFSET_APART
             setOffset(REDUCE, safe, due);
#else
             commitOffset(REDUCE, safe, due);
#endif
             safe = 0
          fi
       :: else -> goto endRead
       fi
     };
     atomic { /* EndTxn */
       if
       :: FENCED -> break
       :: else ->
          for (w : said .. due - 1) { checkWritten(w, lines[w]); lines[w] = 0; first[w] = NONE }
          decide(COMMITTED);
          said = due; due = 0; w = 0
       fi
     }
  :: FENCED -> break
  od;
  atomic {
    position = 0; said = 0; forget(); epoch = 0; due = 0; safe = 0; s = 0; w = 0; /* as in blank */
    if
    :: STILL_OWNER(REDUCE) -> goto start
    :: else
    fi
  }
}

init {
  byte task;
  atomic {
    for (task : 0 .. IDS - 1) { txn[task].offset = NONE; run Markers(task) }
    for (task : 0 .. SLOTS - 1) { run Combine(task, 0) }
    run Reduce(0);
    task = 0
  };
#ifdef TAKEN
  if
  :: atomic { owner[TAKEN]++; /* the group gives the task to another counter */
       if
       :: TAKEN == REDUCE -> run Reduce(1)
       :: else -> run Combine(TAKEN, 1)
       fi
     }
  :: true /* nothing happens */
  fi;
#endif
  timeout;
  /* CHECKED: when nothing can move any more, every line is in a window's result, and every window is written. */
  assert(written[0] && written[1] && (sent[0] | sent[1]) == ALL)
}
