# SPDX-License-Identifier: Apache-2.0
"""support: real parts that several tests need: an OTLP server as sink, and programs run as traced processes."""
