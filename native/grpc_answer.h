// SPDX-License-Identifier: Apache-2.0
// grpc_answer: reads what a gRPC server says about a call: codes, texts, RetryInfo, partial_success. Pure functions.
//
// Every byte comes from a foreign process: each function takes (pointer, length), reads nothing beyond, and knows no
// recursion. A call's answer has a handful of such fields, so nothing here is hot.
#ifndef PILLION_GRPC_ANSWER_H
#define PILLION_GRPC_ANSWER_H

#include "grpc.h"

// The code for an answer without grpc-status (gRPC's http-grpc-status-mapping).
enum grpc_code grpc_code_of_http(unsigned status);
// The code for a stream that ended by RST_STREAM (gRPC's PROTOCOL-HTTP2, "Errors").
enum grpc_code grpc_code_of_reset(uint32_t http2_error);
// "0".."16"; any other text: GRPC_UNKNOWN.
enum grpc_code grpc_code_of_text(const uint8_t *text, size_t bytes);

// Copies as much as fits, 0-terminated; what is not printable ASCII becomes '?'. `percent`: %XX is decoded first.
void grpc_text_copy(char *out, size_t capacity, const uint8_t *text, size_t bytes, bool percent);

// Looks for RetryInfo in the value of grpc-status-details-bin (base64 of a google.rpc.Status).
MUST_USE bool grpc_retry_delay(const uint8_t *base64, size_t bytes, uint64_t *delay_ns);

// Reads partial_success of an Export…ServiceResponse (all signals have one form) into partial, rejected and message.
// STATUS_BAD_INPUT: this is no protobuf message.
MUST_USE enum status grpc_partial_success(const uint8_t *message, size_t bytes, struct grpc_result *result);

#endif
