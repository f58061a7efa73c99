// SPDX-License-Identifier: Apache-2.0
// sql_summary: which operations a query has and on what, in the order of the query: "INSERT shipping SELECT orders".
#ifndef PILLION_SQL_SUMMARY_H
#define PILLION_SQL_SUMMARY_H

#include "sql.h"

// Fills summary, operation and collection of `out` from the query. Names and verbs only, never a value.
void sql_summarise(const char *query, size_t bytes, struct sql_description *out);

#endif
