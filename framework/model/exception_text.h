/// model/exception_text.h: what a caught exception says to a person.
#pragma once

#include <string>

namespace qhost {

/// `qhost --debug`: exception_text() gives LibTorch's stack frames, too.
void show_stack_frames(bool shown);

/// Of the exception that is being handled, to be called in a catch block: what() of a
/// std::exception, of LibTorch's without its stack frames; of anything else its type, "an exception
/// of type int".
std::string exception_text();

}  // namespace qhost
