namespace Architecture.Tests.Code;

/// <summary>The vocabulary and the client run in any process: no ASP.NET Core.</summary>
internal static class AspNetFree
{
    public static IEnumerable<string> Violations(IEnumerable<string> references, IEnumerable<TypeUse> uses) =>
        references.Where(IsAspNet).Select(r => $"refers to {r}")
            .Concat(uses.Where(u => IsAspNet(u.To)).Select(u => $"{u.From} uses {u.To}"));

    private static bool IsAspNet(string name) =>
        name == "Microsoft.AspNetCore" || name.StartsWith("Microsoft.AspNetCore.", StringComparison.Ordinal);
}
