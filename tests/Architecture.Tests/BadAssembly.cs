using System.Reflection;
using System.Reflection.Emit;
using McpAuth.Testing;

namespace Architecture.Tests;

/// <summary>An assembly on disk, made by the test, in which one type uses another in one chosen way.</summary>
internal static class BadAssembly
{
    public static readonly string[] Ways = ["base", "field", "parameter", "call", "generic argument", "closure", "caught", "attribute", "constraint"];

    /// <returns>The path of an assembly in which <paramref name="from"/> uses <paramref name="to"/>.</returns>
    public static string Write(TempDirectory directory, string from, string to, string way)
    {
        var assembly = new PersistedAssemblyBuilder(new AssemblyName("Made"), typeof(object).Assembly);
        var module = assembly.DefineDynamicModule("Made");
        var used = module.DefineType(to, TypeAttributes.Class | TypeAttributes.Public, way switch
        {
            "caught" => typeof(Exception),
            "attribute" => typeof(Attribute),
            _ => typeof(object),
        });
        var constructor = used.DefineDefaultConstructor(MethodAttributes.Public);
        var use = used.DefineMethod("Use", MethodAttributes.Public | MethodAttributes.Static);
        use.GetILGenerator().Emit(OpCodes.Ret);

        var user = module.DefineType(from, TypeAttributes.Class, way == "base" ? used : typeof(object));
        // Operands of every size stand before the one that counts.
        var il = user.DefineMethod("Run", MethodAttributes.Static, typeof(void), way == "parameter" ? [used] : []).GetILGenerator();
        il.Emit(OpCodes.Ldstr, "skipped");
        il.Emit(OpCodes.Pop);
        il.Emit(OpCodes.Ldc_I8, 1L);
        il.Emit(OpCodes.Pop);
        var end = il.DefineLabel();
        il.Emit(OpCodes.Ldc_I4_S, (byte)1);
        il.Emit(OpCodes.Switch, [end, end]);
        TypeBuilder? nested = null;
        switch (way)
        {
            case "field":
                user.DefineField("field", used.MakeArrayType(), FieldAttributes.Private);
                break;
            case "call":
                il.Emit(OpCodes.Call, use);
                break;
            case "generic argument":
                il.Emit(OpCodes.Newobj, TypeBuilder.GetConstructor(typeof(List<>).MakeGenericType(used), typeof(List<>).GetConstructor([])!));
                il.Emit(OpCodes.Pop);
                break;
            case "closure":
                nested = user.DefineNestedType("Closure", TypeAttributes.NestedPrivate);
                var inner = nested.DefineMethod("Run", MethodAttributes.Static).GetILGenerator();
                inner.Emit(OpCodes.Call, use);
                inner.Emit(OpCodes.Ret);
                break;
            case "caught":
                il.BeginExceptionBlock();
                il.BeginCatchBlock(used);
                il.Emit(OpCodes.Pop);
                il.EndExceptionBlock();
                break;
            case "attribute":
                user.SetCustomAttribute(new CustomAttributeBuilder(constructor, []));
                break;
            case "constraint":
                user.DefineMethod("Generic", MethodAttributes.Static).DefineGenericParameters("T")[0].SetBaseTypeConstraint(used);
                break;
        }
        il.MarkLabel(end);
        il.Emit(OpCodes.Ret);
        used.CreateType();
        user.CreateType();
        nested?.CreateType();
        var path = directory[$"{Guid.NewGuid():N}.dll"];
        assembly.Save(path);
        return path;
    }
}
