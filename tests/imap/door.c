/* door.c - the sessions of harness.h speak IMAP. */
#include "imap/imap.h"
#include "harness.h"

const struct fake_door fake_door = {&imap_gate_protocol, HANDOVER_IMAP, imap_accept};
