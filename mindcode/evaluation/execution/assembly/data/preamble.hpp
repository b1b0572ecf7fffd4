// The headers that HumanEvalPack's C++ programs begin with.
namespace std {}
using namespace std;
#include <stdlib.h>
#include <algorithm>
#include <cmath>
#include <math.h>
#include <numeric>
#include <stdio.h>
#include <vector>
#include <set>
#include <map>
#include <queue>
#include <stack>
#include <list>
#include <deque>
#include <boost/any.hpp>
#include <string>
#include <climits>
#include <cstring>
#include <iostream>
#include <sstream>
#include <fstream>
