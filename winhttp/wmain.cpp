// main() for programs that start at wmain(), as Windows programs do (WCH-06). In an archive of its
// own, so that only programs without a main() get it. It needs nothing of the library.

#include <clocale>
#include <cstdio>
#include <cstdlib>
#include <cwchar>
#include <initializer_list>

// wmain() may be written in C or C++, with or without parameters; in C++ each form has a symbol of
// its own. Exactly one of them is there, the others stay null.
#define SLUICE_WMAIN(name, symbol)                                                                 \
  extern "C" int name(int, wchar_t**, wchar_t**) __asm__(symbol) __attribute__((weak))

SLUICE_WMAIN(wmain_of_c, "wmain");
SLUICE_WMAIN(wmain_without_arguments, "_Z5wmainv");
SLUICE_WMAIN(wmain_with_arguments, "_Z5wmainiPPw");
SLUICE_WMAIN(wmain_with_const_arguments, "_Z5wmainiPPKw");
SLUICE_WMAIN(wmain_with_environment, "_Z5wmainiPPwS0_");

namespace {

using entry_point = int (*)(int, wchar_t**, wchar_t**);

entry_point find_wmain() {
  // Arguments that a function does not take are ignored by the calling conventions of x86-64 and
  // arm64.
  for (const entry_point candidate :
       {entry_point{wmain_with_arguments}, entry_point{wmain_without_arguments},
        entry_point{wmain_with_environment}, entry_point{wmain_with_const_arguments},
        entry_point{wmain_of_c}}) {
    if (candidate != nullptr) {
      return candidate;
    }
  }
  return nullptr;
}

// By the encoding of the locale; bytes that it does not know become one character each.
wchar_t* widen(const char* text) {
  std::size_t count = std::mbstowcs(nullptr, text, 0);
  const bool known = count != static_cast<std::size_t>(-1);
  if (!known) {
    for (count = 0; text[count] != '\0'; ++count) {
    }
  }
  auto* const wide = static_cast<wchar_t*>(std::malloc((count + 1) * sizeof(wchar_t)));
  if (wide == nullptr) {
    return nullptr;
  }
  if (known) {
    std::mbstowcs(wide, text, count + 1);
  } else {
    for (std::size_t i = 0; i <= count; ++i) {
      wide[i] = static_cast<wchar_t>(static_cast<unsigned char>(text[i]));
    }
  }
  return wide;
}

// The strings of a NULL-terminated array, as another one; null when out of memory. Never freed: the
// program may keep them until it ends.
wchar_t** widen_all(char** texts) {
  std::size_t count = 0;
  while (texts[count] != nullptr) {
    ++count;
  }
  auto** const wide = static_cast<wchar_t**>(std::calloc(count + 1, sizeof(wchar_t*)));
  for (std::size_t i = 0; wide != nullptr && i < count; ++i) {
    wide[i] = widen(texts[i]);
    if (wide[i] == nullptr) {
      return nullptr; // NOLINT(clang-analyzer-unix.Malloc): the program ends now
    }
  }
  return wide;
}

// Text goes by the user's encoding, so that wprintf() and the arguments agree; the C locale of a
// bare system knows ASCII only, so UTF-8 stands in for it. Numbers and dates keep the C form.
void choose_encoding() {
  const char* chosen = std::setlocale(LC_CTYPE, "");
  if (chosen == nullptr || (chosen[0] == 'C' && chosen[1] == '\0') || MB_CUR_MAX == 1) {
    (void)std::setlocale(LC_CTYPE, "C.UTF-8");
  }
}

// Keep the converted arguments reachable for as long as the process lives, for whoever looks for
// leaks: nothing reads them, so without the attribute the compiler would leave them out.
[[gnu::used]] wchar_t** arguments = nullptr;
[[gnu::used]] wchar_t** environment = nullptr;

} // namespace

int main(int argc, char** argv, char** envp) {
  choose_encoding();
  const entry_point start = find_wmain();
  if (start == nullptr) {
    std::fputs("this program has neither main() nor wmain()\n", stderr);
    return EXIT_FAILURE;
  }
  arguments = widen_all(argv);
  environment = widen_all(envp);
  if (arguments == nullptr || environment == nullptr) {
    std::fputs("out of memory\n", stderr);
    return EXIT_FAILURE;
  }
  return start(argc, arguments, environment);
}
