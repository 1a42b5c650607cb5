# The library's pure parts, linked directly: no preload, no child.
find_package(PkgConfig REQUIRED)
pkg_check_modules(CRITERION REQUIRED IMPORTED_TARGET criterion)

set(PRELOAD ${PROJECT_SOURCE_DIR}/shim/preload)
add_executable(unit-preload test_scope.c test_retry.c test_classify.c test_settings.c test_connection.c
  ${PRELOAD}/scope.c ${PRELOAD}/retry.c ${PRELOAD}/next.c ${PRELOAD}/classify.c ${PRELOAD}/settings.c
  ${PRELOAD}/connection.c ${PROJECT_SOURCE_DIR}/shim/trace/names.c)
target_include_directories(unit-preload PRIVATE
  ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/shim ${PRELOAD})
target_link_libraries(unit-preload PRIVATE PkgConfig::CRITERION ${CMAKE_DL_LIBS})
if(RECVSHIM_SANITIZE)
  target_compile_options(unit-preload PRIVATE -fsanitize=${RECVSHIM_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(unit-preload PRIVATE -fsanitize=${RECVSHIM_SANITIZE})
endif()
add_test(NAME unit-preload COMMAND unit-preload)
