/*
 * search_index.h - a SEARCH program's texts asked of the index (store/search_index.h). Only for src/imap.
 */
#pragma once
#include "imap/search.h"

/* What the index knows of a key with a text for the matcher's message. A search over a few messages never asks it: the
 * first call that comes after enough messages does, for all texts of the program at once. */
enum index_verdict search_index_verdict(struct search_matcher *s, const struct search_key *key);
