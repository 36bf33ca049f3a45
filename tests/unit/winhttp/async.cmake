# Asynchronous handles. As the tests of the synchronous socket, they look into objects of the library,
# which is built without RTTI.
set(async_tests
  async_fixture.cpp
  async_sequences_test.cpp)
set_source_files_properties(${async_tests} PROPERTIES COMPILE_OPTIONS -fno-rtti)

sluice_backend_test(winhttp_async
  SOURCES
    ${async_tests}
    websocket_fixture.cpp
  LINK sluice_scripted_peer)
