using System.Reflection;
using System.Runtime.CompilerServices;

namespace McpGuard.Sdk.Tests;

/// <summary>What the package promises is what PublicAPI.txt says, no more.</summary>
public sealed class PublicApiTests
{
    [Fact]
    public void PublicSurface_IsWhatPublicApiTxtSays()
    {
        string[] said = File.ReadAllLines(Path.Combine(Root(), "src", "McpGuard.Sdk", "PublicAPI.txt"));
        Assert.Equal(said, Surface());
    }

    private static string[] Surface() => [.. typeof(McpGuardOptions).Assembly.GetExportedTypes().SelectMany(Members).Order(StringComparer.Ordinal)];

    private static IEnumerable<string> Members(Type type)
    {
        string kind = type.IsEnum ? "enum" : type.IsAbstract && type.IsSealed ? "static class" : type.IsAbstract ? "abstract class" : type.IsSealed ? "sealed class" : "class";
        yield return $"{type.FullName}: {kind}";
        foreach (MemberInfo member in type.GetMembers(BindingFlags.Public | BindingFlags.NonPublic | BindingFlags.Instance | BindingFlags.Static | BindingFlags.DeclaredOnly))
        {
            if (Line(member) is { } line) yield return $"{type.FullName}.{line}";
        }
    }

    private static string? Line(MemberInfo member) => member switch
    {
        _ when member.GetCustomAttribute<CompilerGeneratedAttribute>() is not null && member is not PropertyInfo => null,
        PropertyInfo { GetMethod.IsPublic: true } p when p.Name != "EqualityContract" =>
            $"{p.Name}: {Name(p.PropertyType)} {{ get;{(p.SetMethod is { IsPublic: true } set ? set.ReturnParameter.GetRequiredCustomModifiers().Length > 0 ? " init;" : " set;" : "")} }}",
        MethodBase { IsSpecialName: true } and MethodInfo => null,
        MethodInfo m when m.IsPublic => $"{m.Name}({string.Join(", ", m.GetParameters().Select(p => Name(p.ParameterType) + " " + p.Name))}): {Name(m.ReturnType)}",
        ConstructorInfo { IsPublic: true } c => $"new({string.Join(", ", c.GetParameters().Select(p => Name(p.ParameterType) + " " + p.Name))})",
        FieldInfo { IsPublic: true, IsLiteral: true } f => $"{f.Name} = {f.GetRawConstantValue()}",
        _ => null,
    };

    private static string Name(Type type) => !type.IsGenericType ? type.Name
        : $"{type.Name[..type.Name.IndexOf('`', StringComparison.Ordinal)]}<{string.Join(", ", type.GetGenericArguments().Select(Name))}>";

    private static string Root()
    {
        string? at = AppContext.BaseDirectory;
        while (at is not null && !File.Exists(Path.Combine(at, "McpAuth.sln"))) at = Path.GetDirectoryName(at);
        return at ?? throw new InvalidOperationException("Outside the repository.");
    }
}
