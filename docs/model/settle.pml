/*
 * How the transactions of one transactional id stay all-or-nothing although Kafka 4.1 to 4.3.1 leaves end markers out
 * (KAFKA-20734), for the model checker spin. README.md beside this file says what is checked, what is left out and how to run it.
 *
 * A target is what holds a transaction's data until a marker decides it: a partition, or the group's offsets. A marker decides
 * all that is open at its target. The coordinator may skip a target, and forgets the decision with the next InitProducerID.
 *
 * The rule from which the others follow: all that is decided in one epoch is decided in the same way, which the note says that
 * InitProducerID left for the epoch. An abort has an epoch of its own, which is nobody's.
 *
 * Clients own the id one after the other, in any order. One that does nothing more is dead; one that goes on later is a zombie.
 */
#ifndef CLIENTS
#define CLIENTS 2
#endif
#ifndef STARTS
#define STARTS 1               /* how often a client starts over, whether it is fenced or not */
#endif
#ifndef SKIPS
#define SKIPS 2                /* markers that are left out */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1             /* transactions that the coordinator aborts by itself */
#endif
#define TARGETS 2
#define SET(n) (1 << (n))      /* of one target, or of one client */

/* ---- Kafka ---- */

/* States of the coordinator. The markers of PREPARE_x are on their way; + 2: they have arrived, or are skipped. */
#define EMPTY 0
#define PREPARE_COMMIT 1
#define PREPARE_ABORT 2
#define COMPLETE_COMMIT 3
#define COMPLETE_ABORT 4
#define ONGOING 5

/* Decisions. A note is one: so ends what is open. Or the epoch is a producer's: it has begun with nothing open, and only commits. */
#define UNKNOWN 0
#define COMMIT 1
#define ABORT 2
#define LIVE 3

/* What the coordinator knows of the id. DescribeTransactions tells the first four. */
byte state;
byte epoch = 1;
byte note;                     /* in the transaction timeout, as the next one */
byte noteEpoch;                /* of a LIVE note: the epoch that it is meant for */
byte lastEpoch;                /* whose InitProducerID may come again (KIP-360); 0: nobody's */
byte added;                    /* the transaction's targets; then those whose marker is on its way */
bool fencing;                  /* an abort with a new epoch is being written: the epoch is new, the state is not yet */
byte skips = SKIPS, starts = STARTS, timeouts = TIMEOUTS;

/* What is open at a target, by how it has to end: data of transactions whose EndTxn(COMMIT) was accepted, of such that were given
   up, and of those that clients have begun. */
typedef Target {
  byte newest;                 /* epoch of its data and markers: older ones are refused */
  bool accepted, givenUp;
  byte begun                   /* by which clients */
}
Target target[TARGETS];
bool torn[CLIENTS];            /* something of the transaction that the client has begun is aborted */
byte n;

#define OPEN_AT(t) (target[t].accepted || target[t].givenUp || target[t].begun)
#define OPEN (OPEN_AT(0) || OPEN_AT(1))
#define PREPARED (fencing || state == PREPARE_COMMIT || state == PREPARE_ABORT)

/* CHECKED: a marker commits what was accepted and nothing else, and aborts nothing that was accepted. */
inline mark(t, anEpoch, aDecision) {
  if
  :: aDecision == COMMIT -> assert(!target[t].givenUp && !target[t].begun)
  :: else ->
     assert(!target[t].accepted);
     for (n : 0 .. CLIENTS - 1) {
       if
       :: target[t].begun & SET(n) -> torn[n] = true
       :: else
       fi
     }
     n = 0
  fi;
  target[t].accepted = false; target[t].givenUp = false; target[t].begun = 0;
  target[t].newest = anEpoch
}

/* What InitProducerID and the timeout do to an open transaction. Nobody is told the new epoch. */
inline fence() { epoch++; lastEpoch = 0; fencing = true }

proctype Coordinator() {
endWait:
  do
  :: d_step { fencing ->
       fencing = false;
       state = PREPARE_ABORT;
#ifdef TRANSACTIONS_V2         /* transaction.version 2 of the broker: one epoch more */
       lastEpoch = epoch;
       epoch++
#endif
     }
  /* Markers arrive in any order. */
  :: d_step { !fencing && PREPARED && (added & SET(0)) -> added = added ^ SET(0); mark(0, epoch, state) }
  :: d_step { !fencing && PREPARED && (added & SET(1)) -> added = added ^ SET(1); mark(1, epoch, state) }
  :: d_step { !fencing && PREPARED && (added & SET(0)) && skips -> added = added ^ SET(0); skips-- }
  :: d_step { !fencing && PREPARED && (added & SET(1)) && skips -> added = added ^ SET(1); skips-- }
  :: d_step { !fencing && PREPARED && !added -> state = state + 2 }
  :: d_step { !fencing && state == ONGOING && timeouts -> timeouts--; fence() }
  od
}

#define OK 0
#define CONCURRENT 1           /* try again */
#define REFUSED 2              /* fenced, or not in this state */

/* InitProducerID by whoever (expected 0), or by one who knows the epoch (KIP-360). The latter is not exclusive: the same request
   again is answered the same. And both abort an open transaction, of whatever epoch. */
inline initProducerID(expected, aNote, itsEpoch) {
  d_step {
    if
    :: PREPARED -> answer = CONCURRENT
    :: !PREPARED && state == ONGOING -> fence(); answer = CONCURRENT
    :: else ->
       if
       :: expected == 0 -> epoch++; lastEpoch = 0; answer = OK
       :: expected != 0 && expected == epoch -> lastEpoch = epoch; epoch++; answer = OK
       :: expected != 0 && expected != epoch && expected == lastEpoch -> answer = OK
       :: else -> answer = REFUSED
       fi;
       if
       :: answer == OK -> state = EMPTY; note = aNote; noteEpoch = itsEpoch; mine = epoch
       :: else
       fi
    fi
  }
}

/* AddPartitionsToTxn or AddOffsetsToTxn. They wait while markers are on their way. */
#define READY (epoch != mine || !PREPARED)
inline add(t) {
  d_step {
    if
    :: epoch != mine -> answer = REFUSED
    :: else -> state = ONGOING; added = added | SET(t); answer = OK
    fi
  }
}

/* Produce or TxnOffsetCommit. The target asks the coordinator, unless something is open there already. */
inline write(t) {
  d_step {
    if
    :: target[t].newest <= mine && (OPEN_AT(t) || (epoch == mine && state == ONGOING && (added & SET(t)))) ->
       target[t].begun = target[t].begun | SET(me);
       target[t].newest = mine;
       answer = OK
    :: else -> answer = REFUSED
    fi
  }
}

/* EndTxn. It may come again. */
inline endTxn(anEpoch, aDecision) {
  d_step {
    if
    :: epoch == anEpoch && !fencing && state == ONGOING -> state = aDecision; answer = OK
    :: epoch == anEpoch && !fencing && (state == aDecision || state == aDecision + 2) -> answer = OK
    :: else -> answer = REFUSED
    fi
  }
}

/* WriteTxnMarkers, by a client. */
#ifdef MARKED_WITH_ANY_EPOCH   /* with the one of what is open there, as kafka-transactions.sh abort does */
#define MARKER_EPOCH(t) target[t].newest
#else
#define MARKER_EPOCH(t) mine
#endif
inline writeMarker(t) {
  d_step {
    if
    :: MARKER_EPOCH(t) < target[t].newest -> answer = REFUSED
    :: else -> mark(t, MARKER_EPOCH(t), decision); answer = OK
    fi
  }
}

/* ---- what is checked; no client looks at it ---- */

/* EndTxn(COMMIT) was accepted. CHECKED: nothing of the transaction is aborted already. */
inline accept() {
  assert(!torn[me]);
  for (n : 0 .. TARGETS - 1) {
    if
    :: target[n].begun & SET(me) -> target[n].begun = target[n].begun ^ SET(me); target[n].accepted = true
    :: else
    fi
  }
  n = 0
}

inline giveUp() {
  for (n : 0 .. TARGETS - 1) {
    if
    :: target[n].begun & SET(me) -> target[n].begun = target[n].begun ^ SET(me); target[n].givenUp = true
    :: else
    fi
  }
  n = 0;
  torn[me] = false
}

/* ---- the clients ---- */

/* DescribeTransactions, and what it says of how all ends that is open in this epoch, or will be. */
inline describe() {
  d_step {
    found = epoch;
    if
    :: state == PREPARE_ABORT || state == COMPLETE_ABORT -> decision = ABORT
    :: state == PREPARE_COMMIT || state == COMPLETE_COMMIT -> decision = COMMIT
    :: else ->
       if
#ifdef NO_NOTES
       :: state == ONGOING -> decision = COMMIT
       :: state == EMPTY -> decision = UNKNOWN
#else
       :: note != LIVE -> decision = note
       :: note == LIVE && noteEpoch == epoch -> decision = COMMIT
       :: else /* LIVE, and meant for another epoch */
#ifndef FENCE_OVERLOOKED
          if
          :: state == ONGOING -> decision = ABORT /* it is being fenced */
          :: else
#endif
             /* The other one was somebody's already. He has committed if this one is the next; else he may have been aborted. */
#ifdef NOTE_WITHOUT_EPOCH
             decision = COMMIT
#else
             decision = (epoch == noteEpoch + 1 -> COMMIT : UNKNOWN)
#endif
#ifndef FENCE_OVERLOOKED
          fi
#endif
#endif
       fi
    fi
#ifdef ENDED_FOR_OTHERS
    ; ongoing = (state == ONGOING)
#endif
#ifdef MENDED_BY_TRANSACTION
    ; ongoing = (state == ONGOING && note == COMMIT)
#endif
  }
}

proctype Client(byte me) {
  byte answer;
  byte mine;                   /* epoch */
  byte found, decision;        /* by describe */
  byte missing;                /* the targets that are not in the transaction yet; << TARGETS: those without its data */
  bool over;
#if defined(ENDED_FOR_OTHERS) || defined(MENDED_BY_TRANSACTION)
  bool ongoing;
#endif
  atomic {                     /* who is who makes no difference: they begin in order, so that spin has fewer runs to go through */
    describe();
    if
    :: me < CLIENTS - 1 -> run Client(me + 1)
    :: else
    fi
  };
  goto described;

takeOver:
  describe();
described:
#ifdef ENDED_FOR_OTHERS        /* not by InitProducerID: no abort has an epoch of its own then */
  if
  :: atomic { ongoing -> endTxn(found, ABORT); answer = OK; found = 0; decision = UNKNOWN; ongoing = false; goto takeOver }
  :: else
  fi;
#endif
#ifdef MENDED_BY_TRANSACTION   /* which InitProducerID would abort */
  if
  :: atomic { ongoing -> endTxn(found, COMMIT); answer = OK; found = 0; decision = UNKNOWN; ongoing = false; goto takeOver }
  :: else
  fi;
#endif
#ifndef NO_NOTES
  if
  :: atomic { decision == UNKNOWN && OPEN -> found = 0; goto failed } /* an error that takes a human */
  :: atomic { decision == UNKNOWN && !OPEN -> decision = COMMIT } /* of nothing; and nobody writes in such an epoch */
  :: decision != UNKNOWN
  fi;
#endif
#ifdef MARKED_FIRST            /* while the coordinator still knows the decision */
  mine = found;
  do
  :: atomic { OPEN_AT(0) && decision != UNKNOWN && !PREPARED && state != ONGOING -> writeMarker(0) }
  :: atomic { OPEN_AT(1) && decision != UNKNOWN && !PREPARED && state != ONGOING -> writeMarker(1) }
  :: atomic { true -> answer = OK; break }
  od;
#endif
  /* All who have described the same epoch may get the next one, with the same note. They do nothing there but what it says. */
  atomic {
#ifdef TAKEN_BLINDLY           /* as the clients of Kafka do */
    initProducerID(0, decision, 0);
#else
    initProducerID(found, decision, 0);
#endif
    found = 0;
    if
    :: answer == OK
#ifdef DESCRIBED_ONCE
    :: answer == CONCURRENT -> found = epoch; answer = OK; goto described
    :: answer == REFUSED -> decision = UNKNOWN; answer = OK; goto takeOver
#else
    :: else -> decision = UNKNOWN; answer = OK; goto takeOver
#endif
    fi
  };

  /* Mend: write again what was left out. Who finds data of a later epoch there is fenced. */
#ifndef SKIPS_TRUSTED
  do
  :: atomic { !OPEN || decision == UNKNOWN -> break }
#ifdef MENDED_BY_TRANSACTION
  :: atomic { OPEN && READY -> add(0); if :: answer == OK :: else -> goto again fi };
     atomic { READY -> add(1); if :: answer == OK :: else -> goto again fi };
     atomic { endTxn(mine, decision); if :: answer == OK :: else -> goto again fi };
     READY
#else
  :: atomic { OPEN_AT(0) && decision != UNKNOWN -> writeMarker(0); if :: answer == OK :: else -> goto again fi }
  :: atomic { OPEN_AT(1) && decision != UNKNOWN -> writeMarker(1); if :: answer == OK :: else -> goto again fi }
#endif
  od;
#endif

  /* Nothing is open. Now an epoch that no other client gets. If it is not the next one, somebody was faster. */
  atomic {
    decision = UNKNOWN;
    found = mine;
#ifdef SHARED
    initProducerID(found, LIVE, found + 1);
#else
    initProducerID(0, LIVE, found + 1);
#endif
    if
    :: answer == OK && mine == found + 1 -> found = 0
    :: else -> goto again
    fi
  };

  do
  :: atomic { starts -> /* renew: something of the last one was not answered, and may come late */
       starts--;
       found = mine;
#ifdef RENEWED_BY_EPOCH
       initProducerID(found, LIVE, found + 1);
#else
       initProducerID(0, LIVE, found + 1);
#endif
       if
       :: answer == OK && mine == found + 1 -> found = 0
       :: else -> goto again
       fi
     }
  :: atomic { missing == 0 -> missing = SET(TARGETS) - 1 };
     /* A transaction (Transactional.Prepare and Commit), its requests in any order. */
     do
     :: atomic { (missing & SET(0)) && READY -> add(0); missing = missing ^ SET(0) ^ SET(TARGETS); if :: answer == OK :: else -> goto again fi }
     :: atomic { (missing & SET(1)) && READY -> add(1); missing = missing ^ SET(1) ^ SET(TARGETS + 1); if :: answer == OK :: else -> goto again fi }
     :: atomic { missing & SET(TARGETS) -> write(0); missing = missing ^ SET(TARGETS); if :: answer == OK :: else -> goto again fi }
     :: atomic { missing & SET(TARGETS + 1) -> write(1); missing = missing ^ SET(TARGETS + 1); if :: answer == OK :: else -> goto again fi }
     :: atomic { missing & SET(TARGETS + 1) -> missing = missing ^ SET(TARGETS + 1) } /* it was prepared, and has nothing for this target */
     :: atomic { !missing -> endTxn(mine, COMMIT); if :: answer == OK -> accept(); break :: else -> goto again fi }
#ifdef ABORTED_IN_ITS_EPOCH
     :: atomic { true -> endTxn(mine, ABORT); goto again }
#else
     :: atomic { true -> goto again } /* which aborts it */
#endif
     od;
#if !defined(UNVERIFIED) && !defined(SKIPS_TRUSTED)
     /* Before the next one: have all markers arrived (Transactional.Settled)? */
     do
     :: atomic { !OPEN -> break }
     :: atomic { OPEN && over -> goto again } /* one is left out */
     :: atomic { OPEN && !over && epoch != mine -> goto again }
     :: atomic { OPEN && !over && epoch == mine && !PREPARED -> over = true }
     od;
     /* CHECKED: it stays so. */
     atomic { assert(epoch != mine || !OPEN); over = false }
#endif
  od;

again:
  atomic {
    giveUp();
    answer = OK; mine = 0; found = 0; decision = UNKNOWN; missing = 0; over = false; /* fewer states to tell apart */
    if
    :: starts -> starts--; goto takeOver
    :: true
    fi
  };
failed:
  skip
}

init {
  atomic { run Coordinator(); run Client(0) }
}
