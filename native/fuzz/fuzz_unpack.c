// SPDX-License-Identifier: Apache-2.0
// Any bytes as a packed block, into a place of any size: what it says of itself is never believed.
#include "unpack.h"
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 2)
        return 0;
    size_t bytes = data[0] | (size_t)data[1] << 8;
    uint8_t *out = malloc(bytes + 1);
    if (out == NULL)
        return 0;
    (void)unpack(data + 2, size - 2, out, bytes);
    free(out);
    return 0;
}
