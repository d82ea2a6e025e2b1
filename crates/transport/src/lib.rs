//! Carriage of refpoint associations: TCP, UDP and gRPC on tokio.
