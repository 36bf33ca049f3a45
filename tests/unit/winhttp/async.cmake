# Asynchronous handles.
sluice_backend_test(winhttp_async
  SOURCES
    async_control_test.cpp
    async_hostile_caller_test.cpp
    async_memory_test.cpp
    async_proxy_test.cpp
    async_receive_test.cpp
    async_request_test.cpp
    async_send_test.cpp
    async_sequences_test.cpp
    async_socket_test.cpp
    async_tables_test.cpp
  LINK sluice_winhttp_fixtures)

sluice_backend_test(winhttp_async_threads
  SOURCES async_threads_test.cpp
  LINK sluice_winhttp_fixtures)

sluice_tls_test(winhttp_async)
sluice_tls_test(winhttp_async_threads)

# The library's calls of io::make_backend() and of send() go through the test, which counts the
# library's steps there.
set(make_backend "_ZN6sluice2io12make_backendENS0_14backend_choiceERKNS0_16backend_settingsE\
RNS0_11buffer_poolERSt10unique_ptrINS0_7backendENS_6memory7deleterEE")
sluice_backend_test(winhttp_async_steps
  SOURCES
    async_opening_steps_test.cpp
    async_steps_test.cpp
    steps_fixture.cpp
    "${PROJECT_SOURCE_DIR}/tests/support/steps.cpp"
  LINK sluice_winhttp_fixtures)
set_source_files_properties("${PROJECT_SOURCE_DIR}/tests/support/steps.cpp" PROPERTIES
  COMPILE_DEFINITIONS "SLUICE_TEST_MAKE_BACKEND=\"${make_backend}\"")
target_link_options(winhttp_async_steps PRIVATE
  "LINKER:--wrap=${make_backend}" LINKER:--wrap=send)
sluice_tls_test(winhttp_async_steps)
