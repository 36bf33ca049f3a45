/* Every spelling of the header names that Windows' file system accepts and programs use, in any
   order and more than once. */
#include <WINHTTP.h>
#include <WinHTTP.h>
#include <WinHttp.h>
#include <Winhttp.h>
#include <winhttp.h>

#include <WINDOWS.h>
#include <WinBase.h>
#include <WinDef.h>
#include <Windows.h>
#include <minwindef.h>
#include <winbase.h>
#include <windef.h>
#include <windows.h>

#include <WinError.h>
#include <Winerror.h>
#include <winerror.h>

#include <Sal.h>
#include <sal.h>

_Static_assert(sizeof(WINHTTP_WEB_SOCKET_STATUS) == 8, "declared once, by whichever came first");
