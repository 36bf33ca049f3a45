# Asynchronous handles.
sluice_backend_test(winhttp_async
  SOURCES
    async_fixture.cpp
    async_request_test.cpp
    async_sequences_test.cpp
    async_socket_test.cpp
    websocket_fixture.cpp
  LINK sluice_scripted_peer)

sluice_backend_test(winhttp_async_threads
  SOURCES async_fixture.cpp async_threads_test.cpp websocket_fixture.cpp
  LINK sluice_scripted_peer)

sluice_tls_test(winhttp_async)
sluice_tls_test(winhttp_async_threads)
