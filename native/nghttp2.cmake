# SPDX-License-Identifier: Apache-2.0
# HTTP/2 framing and HPACK: the system's libnghttp2, as the target pillion_nghttp2.
find_path(NGHTTP2_INCLUDE nghttp2/nghttp2.h REQUIRED)
find_library(NGHTTP2_LIBRARY nghttp2 REQUIRED)
add_library(pillion_nghttp2 INTERFACE)
target_include_directories(pillion_nghttp2 INTERFACE ${NGHTTP2_INCLUDE})
target_link_libraries(pillion_nghttp2 INTERFACE ${NGHTTP2_LIBRARY})
