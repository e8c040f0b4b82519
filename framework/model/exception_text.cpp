#include "model/exception_text.h"

#include <c10/util/Exception.h>
#include <cxxabi.h>

#include <atomic>
#include <cstdlib>
#include <exception>
#include <memory>
#include <typeinfo>

#include "common/lines.h"

namespace qhost {
namespace {

std::atomic<bool> stack_frames_shown = false;

std::string name_of_current_type() {
  const std::type_info* type = abi::__cxa_current_exception_type();
  if (type == nullptr) return "unknown";  // of another language
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> name(
      abi::__cxa_demangle(type->name(), nullptr, nullptr, &status), std::free);
  return status == 0 ? name.get() : type->name();
}

}  // namespace

void show_stack_frames(bool shown) {
  stack_frames_shown = shown;
}

std::string exception_text() {
  try {
    throw;
  } catch (const c10::Error& error) {
    return without_last_breaks(stack_frames_shown ? error.what() : error.what_without_backtrace());
  } catch (const std::exception& error) {
    const std::string text = without_last_breaks(error.what());
    return text.empty() ? "an exception of type " + name_of_current_type() : text;
  } catch (...) {
    return "an exception of type " + name_of_current_type();
  }
}

}  // namespace qhost
