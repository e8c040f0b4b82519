/// qhost/export.h: visibility of the symbols that plugins share with the host.
#pragma once

/// Marks what libqhost_core.so exports to plugins. A class that crosses the plugin boundary
/// carries it and has its virtual destructor defined in the core (its key function), so that one
/// type information exists and dynamic_cast and catch work on both sides.
#define QHOST_API __attribute__((visibility("default")))
