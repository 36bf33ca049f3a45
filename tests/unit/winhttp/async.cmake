# Asynchronous handles.
sluice_backend_test(winhttp_async
  SOURCES
    async_hostile_caller_test.cpp
    async_proxy_test.cpp
    async_request_test.cpp
    async_sequences_test.cpp
    async_socket_test.cpp
    async_tables_test.cpp
  LINK sluice_winhttp_fixtures)

sluice_backend_test(winhttp_async_threads
  SOURCES async_threads_test.cpp
  LINK sluice_winhttp_fixtures)

sluice_tls_test(winhttp_async)
sluice_tls_test(winhttp_async_threads)
