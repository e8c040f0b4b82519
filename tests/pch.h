/// The precompiled header of the tests that need no LibTorch.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base_pch.h"
