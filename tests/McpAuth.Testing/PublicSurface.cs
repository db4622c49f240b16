using System.Reflection;
using System.Runtime.CompilerServices;
using Xunit;

namespace McpAuth.Testing;

/// <summary>What others can call of a package, a line each, beside the file that promises it.</summary>
public static class PublicSurface
{
    private const BindingFlags All = BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly;

    /// <summary>Fails unless the surface is what the <c>PublicAPI.txt</c> in this folder says, no more and no less.</summary>
    /// <param name="folder">From the repository's root, such as <c>src/McpAuth.Cedar</c>.</param>
    public static void AssertIsAsPromised(Assembly assembly, string folder)
    {
        string file = Path.Combine(RepositoryRoot.Path, folder, "PublicAPI.txt");
        string[] said = File.Exists(file) ? File.ReadAllLines(file) : [];
        string[] surface = [.. Of(assembly)];
        if (said.SequenceEqual(surface)) return;
        Assert.Fail($"The public surface is not what {folder}/PublicAPI.txt says.{Listed("New:", surface.Except(said))}{Listed("Gone:", said.Except(surface))}");
    }

    /// <summary>Public and protected types and members, sorted.</summary>
    public static IEnumerable<string> Of(Assembly assembly) => assembly.GetExportedTypes().SelectMany(Members).Order(StringComparer.Ordinal);

    private static string Listed(string title, IEnumerable<string> lines) => string.Concat(lines.Select(l => $"\n  {l}").Prepend($"\n{title}"));

    private static IEnumerable<string> Members(Type type)
    {
        yield return $"{type.FullName}: {Kind(type)}";
        foreach (MemberInfo member in type.GetMembers(All))
            if (Line(member) is { } line) yield return $"{type.FullName}.{line}";
    }

    private static string Kind(Type type) => type switch
    {
        { IsEnum: true } => "enum",
        { IsInterface: true } => "interface",
        { IsValueType: true } => type.IsByRefLike ? "ref struct" : "struct",
        { IsAbstract: true, IsSealed: true } => "static class",
        { IsAbstract: true } => "abstract class",
        { IsSealed: true } => "sealed class",
        _ => "class",
    };

    private static string? Line(MemberInfo member) => member switch
    {
        PropertyInfo p when Seen(p.GetMethod) && p.Name != "EqualityContract" => $"{p.Name}{Index(p)}: {Name(p.PropertyType)} {{ get;{Setter(p)} }}",
        PropertyInfo => null,
        _ when member.GetCustomAttribute<CompilerGeneratedAttribute>() is not null => null,
        MethodInfo { IsSpecialName: true } m when !m.Name.StartsWith("op_", StringComparison.Ordinal) => null,
        MethodInfo m when Seen(m) => $"{m.Name}({Parameters(m)}): {Name(m.ReturnType)}",
        ConstructorInfo c when Seen(c) => $"new({Parameters(c)})",
        FieldInfo { IsPublic: true, IsSpecialName: false } f => f.IsLiteral ? $"{f.Name} = {f.GetRawConstantValue()}" : $"{f.Name}: {Name(f.FieldType)}",
        _ => null,
    };

    private static bool Seen(MethodBase? method) => method is { IsPublic: true } or { IsFamily: true } or { IsFamilyOrAssembly: true };

    private static string Index(PropertyInfo property) =>
        property.GetIndexParameters() is { Length: > 0 } index ? $"[{string.Join(", ", index.Select(p => Name(p.ParameterType)))}]" : "";

    private static string Setter(PropertyInfo property) =>
        !Seen(property.SetMethod) ? "" : property.SetMethod!.ReturnParameter.GetRequiredCustomModifiers().Length > 0 ? " init;" : " set;";

    private static string Parameters(MethodBase method) => string.Join(", ", method.GetParameters().Select(p => $"{Way(p)}{Name(p.ParameterType)} {p.Name}"));

    private static string Way(ParameterInfo parameter) => parameter switch
    {
        { IsOut: true } => "out ",
        { ParameterType.IsByRef: true } => parameter.IsIn ? "in " : "ref ",
        _ => "",
    };

    private static string Name(Type type)
    {
        if (type.IsByRef) return Name(type.GetElementType()!);
        if (!type.IsGenericType) return type.Name;
        string name = type.Name.Split('`')[0];
        return name == "Nullable" ? $"{Name(type.GetGenericArguments()[0])}?" : $"{name}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";
    }
}
