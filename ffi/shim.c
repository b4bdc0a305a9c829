/*
 * uringnet shim: thin C over liburing. No policy: the caller decides what to submit, retry, time
 * out or own. The shim checks bounds, prepares entries, enters the kernel and copies completions.
 *
 * The shim is one compilation unit, in files that each answer one question:
 *
 *   internal.h    the state of a process and of a ring, and the shim's own limits
 *   slab.c        memory that the kernel may touch
 *   descriptor.c  descriptors and the rings that own them
 *   operation.c   op records as submission queue entries; no other file but faults.c knows op codes
 *   faults.h      where tests inject faults; with -DUR_FAULTS also faults.c, their table
 *   turn.c        records in, one or more enters, completions out
 *   watch.c       the entries of the runtime's epoll instance
 *   doorbell.c    waking an event loop that sleeps
 *   ring.c        how rings open and end, and how they end with their thread
 *   probe.c       features of the system and its kernel
 *   socket.c      calls on sockets that need no ring
 *   file.c        socket files in the file system
 *
 * Each file uses the files before it. Functions of a later file are declared in internal.h.
 */
#define _GNU_SOURCE
#include "shim.h"

#include "shim/internal.h"

#include "shim/slab.c"

#include "shim/descriptor.c"

#include "shim/operation.c"

#include "shim/faults.h"

#include "shim/turn.c"

#include "shim/watch.c"

#include "shim/doorbell.c"

#include "shim/ring.c"

#include "shim/probe.c"

#include "shim/socket.c"

#include "shim/file.c"
