// SPDX-License-Identifier: Apache-2.0
// probation: see probation.h.
#include "probation.h"

bool probation_begin(const struct subject *subject, const char *run_dir, struct verdict *verdict) {
    (void)subject, (void)run_dir, (void)verdict;
    return true;
}

void probation_end(void) {
}
