#include "winhttp/http_date.hpp"

#include "winhttp/text.hpp"

#include <array>

namespace sluice::winhttp {
namespace {

constexpr std::array<std::string_view, 12> months = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                     "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};

// A word between blanks, commas and hyphens; empty at the end.
std::string_view take_word(std::string_view& rest) noexcept {
  constexpr std::string_view separators = " \t,-";
  const std::size_t start = rest.find_first_not_of(separators);
  if (start == std::string_view::npos) {
    return {};
  }
  rest.remove_prefix(start);
  const std::string_view word = rest.substr(0, rest.find_first_of(separators));
  rest.remove_prefix(word.size());
  return word;
}

bool parse_digits(std::string_view text, WORD& value) noexcept {
  if (text.empty() || text.size() > 4) {
    return false;
  }
  unsigned sum = 0;
  for (const char c : text) {
    if (!is_digit(c)) {
      return false;
    }
    sum = sum * 10 + static_cast<unsigned>(c - '0');
  }
  value = static_cast<WORD>(sum);
  return true;
}

bool parse_time(std::string_view text, SYSTEMTIME& date) noexcept {
  return text.size() == 8 && text[2] == ':' && text[5] == ':' &&
         parse_digits(text.substr(0, 2), date.wHour) &&
         parse_digits(text.substr(3, 2), date.wMinute) &&
         parse_digits(text.substr(6, 2), date.wSecond) && date.wHour < 24 && date.wMinute < 60 &&
         date.wSecond <= 60;
}

WORD parse_month(std::string_view word) noexcept {
  for (std::size_t i = 0; i < months.size(); ++i) {
    if (equal_no_case(word, months[i])) {
      return static_cast<WORD>(i + 1);
    }
  }
  return 0;
}

// Sakamoto's method; 0 = Sunday.
WORD day_of_week(unsigned year, unsigned month, unsigned day) noexcept {
  constexpr unsigned offsets[] = {0, 3, 2, 5, 0, 3, 5, 1, 4, 6, 2, 4};
  if (month < 3) {
    --year;
  }
  return static_cast<WORD>((year + year / 4 - year / 100 + year / 400 + offsets[month - 1] + day) %
                           7);
}

WORD days_in(unsigned year, unsigned month) noexcept {
  constexpr WORD days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  const bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
  return month == 2 && leap ? WORD{29} : days[month - 1];
}

} // namespace

bool parse_http_date(std::string_view text, SYSTEMTIME& date) noexcept {
  // The forms differ in the order of day, month, year and time; no two parts look the same.
  SYSTEMTIME found{};
  bool has_day = false;
  bool has_year = false;
  bool has_time = false;
  (void)take_word(text); // day of the week
  for (std::string_view word = take_word(text); !word.empty(); word = take_word(text)) {
    WORD number = 0;
    if (const WORD month = parse_month(word); month != 0 && found.wMonth == 0) {
      found.wMonth = month;
    } else if (!has_time && parse_time(word, found)) {
      has_time = true;
    } else if (parse_digits(word, number)) {
      if (!has_day) {
        found.wDay = number;
        has_day = true;
      } else if (!has_year) {
        // RFC 850 has two digits: the nearest century that HTTP knows of.
        found.wYear =
            word.size() > 2 ? number : static_cast<WORD>(number + (number < 70 ? 2000 : 1900));
        has_year = true;
      } else {
        return false;
      }
    } else if (word != "GMT" && word != "UTC") {
      return false;
    }
  }
  if (!has_time || !has_year || found.wMonth == 0 || found.wYear < 1601 || found.wDay == 0 ||
      found.wDay > days_in(found.wYear, found.wMonth)) {
    return false;
  }
  found.wDayOfWeek = day_of_week(found.wYear, found.wMonth, found.wDay);
  date = found;
  return true;
}

} // namespace sluice::winhttp
