// SPDX-License-Identifier: Apache-2.0
// The binding as it is compiled for .NET, where it says which file P/Invoke takes. Mono has no NativeLibrary, so this is one that
// does of it what the binding uses, by dlopen.
//
//     DotNet.exe     prints "ok NAME" or "failed NAME: .."
using System;
using System.Reflection;
using Remora.Native;

namespace System.Runtime.InteropServices
{
    public delegate IntPtr DllImportResolver(string name, Assembly by, DllImportSearchPath? where);

    public static class NativeLibrary
    {
        public static DllImportResolver Resolver;
        public static string Asked = "";

        [DllImport("libdl.so.2")]
        static extern IntPtr dlopen(string file, int flags);

        public static void SetDllImportResolver(Assembly of, DllImportResolver resolver)
        {
            if (Resolver != null) throw new InvalidOperationException();
            Resolver = resolver;
        }

        public static bool TryLoad(string file, Assembly by, DllImportSearchPath? where, out IntPtr found)
        {
            Asked += file;
            found = dlopen(file, 2);
            return found != IntPtr.Zero;
        }
    }
}

static class DotNet
{
    static int Main()
    {
        var release = Abi.remora_version(); // a call: before it the resolver is there
        var resolver = System.Runtime.InteropServices.NativeLibrary.Resolver;
        var here = resolver != null && resolver(Abi.Library, typeof(Abi).Assembly, null) != IntPtr.Zero;
        var others = resolver != null && resolver("libc", typeof(Abi).Assembly, null) == IntPtr.Zero;
        var asked = System.Runtime.InteropServices.NativeLibrary.Asked;
        var right = release >= Abi.Version && here && others && asked == "libremora.so.1";
        Console.WriteLine((right ? "ok" : "failed") + " csharp says to .NET which file it takes: " + asked);
        return right ? 0 : 1;
    }
}
