# SPDX-License-Identifier: Apache-2.0
# HTTP/2 framing and HPACK, as the target pillion_nghttp2. Compiled in from source where the source is at hand
# (native/fetch-nghttp2.sh puts it into build/nghttp2-src, or -DPILLION_NGHTTP2_SOURCE=DIR): then the application's
# process needs no further library, and cannot clash with a libnghttp2 of its own. Else the system's library.
set(PILLION_NGHTTP2_SOURCE "" CACHE PATH "unpacked source of nghttp2")
set(pillion_nghttp2_source "${PILLION_NGHTTP2_SOURCE}")
if(NOT pillion_nghttp2_source AND EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/build/nghttp2-src/lib/nghttp2_session.c)
  set(pillion_nghttp2_source ${CMAKE_CURRENT_SOURCE_DIR}/build/nghttp2-src)
endif()

if(pillion_nghttp2_source)
  if(NOT EXISTS ${pillion_nghttp2_source}/lib/nghttp2_session.c)
    message(FATAL_ERROR "PILLION_NGHTTP2_SOURCE=${pillion_nghttp2_source} holds no lib/nghttp2_session.c")
  endif()
  # A release of nghttp2 has the version header made; a source package has its template only.
  set(nghttp2_includes ${pillion_nghttp2_source}/lib/includes)
  file(STRINGS ${pillion_nghttp2_source}/configure.ac nghttp2_init REGEX "^AC_INIT")
  string(REGEX MATCH "([0-9]+)\\.([0-9]+)\\.([0-9]+)" PACKAGE_VERSION "${nghttp2_init}")
  math(EXPR PACKAGE_VERSION_NUM
    "(${CMAKE_MATCH_1} << 16) | (${CMAKE_MATCH_2} << 8) | ${CMAKE_MATCH_3}" OUTPUT_FORMAT HEXADECIMAL)
  if(NOT EXISTS ${nghttp2_includes}/nghttp2/nghttp2ver.h)
    configure_file(${nghttp2_includes}/nghttp2/nghttp2ver.h.in
      ${CMAKE_CURRENT_BINARY_DIR}/nghttp2/nghttp2/nghttp2ver.h @ONLY)
  endif()
  file(GLOB nghttp2_sources ${pillion_nghttp2_source}/lib/*.c)
  add_library(pillion_nghttp2 STATIC ${nghttp2_sources})
  target_include_directories(pillion_nghttp2 SYSTEM PUBLIC ${nghttp2_includes} ${CMAKE_CURRENT_BINARY_DIR}/nghttp2)
  # STATICLIB: its functions are not marked for export, so hidden visibility hides them too.
  target_compile_definitions(pillion_nghttp2 PUBLIC NGHTTP2_STATICLIB
    PRIVATE HAVE_ARPA_INET_H HAVE_NETINET_IN_H HAVE_TIME_H HAVE_CLOCK_GETTIME HAVE_DECL_CLOCK_MONOTONIC=1)
  target_compile_options(pillion_nghttp2 PRIVATE -w)
  if(NOT PILLION_SANITIZE AND NOT PILLION_FUZZ)
    # An assertion must never end somebody else's process. The tests keep them.
    target_compile_definitions(pillion_nghttp2 PRIVATE NDEBUG)
  endif()
  message(STATUS "nghttp2 ${PACKAGE_VERSION}: compiled in from ${pillion_nghttp2_source}")
else()
  find_path(NGHTTP2_INCLUDE nghttp2/nghttp2.h)
  find_library(NGHTTP2_LIBRARY nghttp2)
  if(NOT NGHTTP2_INCLUDE OR NOT NGHTTP2_LIBRARY)
    message(FATAL_ERROR "nghttp2 is missing: run native/fetch-nghttp2.sh to compile it in, "
      "or install its development package (apt install libnghttp2-dev)")
  endif()
  add_library(pillion_nghttp2 INTERFACE)
  target_include_directories(pillion_nghttp2 SYSTEM INTERFACE ${NGHTTP2_INCLUDE})
  target_link_libraries(pillion_nghttp2 INTERFACE ${NGHTTP2_LIBRARY})
  message(STATUS "nghttp2: the system's ${NGHTTP2_LIBRARY} (run native/fetch-nghttp2.sh to compile it in)")
endif()
