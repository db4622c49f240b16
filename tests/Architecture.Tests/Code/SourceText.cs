using System.Text.RegularExpressions;

namespace Architecture.Tests.Code;

/// <summary>Rules one can see in a file's text.</summary>
internal static partial class SourceText
{
    /// <summary>The namespace is the folder, so that a name says where to look.</summary>
    /// <param name="file">Path of a C# file from its project folder.</param>
    /// <param name="rootNamespace">The project's.</param>
    public static IEnumerable<string> NamespaceViolations(string file, string rootNamespace, string source)
    {
        var folder = Path.GetDirectoryName(file) ?? "";
        var expected = folder.Length == 0 ? rootNamespace : $"{rootNamespace}.{folder.Replace('/', '.')}";
        var declared = Namespace().Matches(source).Select(m => m.Groups[1].Value).Distinct().ToList();
        if (declared.Count == 0 && file != "Program.cs" && TypeDeclaration().IsMatch(source))
            yield return $"{file} declares types in no namespace";
        foreach (var name in declared.Where(d => d != expected && !IsHostExtension(file, d)))
            yield return $"{file} declares namespace {name}, its folder says {expected}";
    }

    /// <summary>What a host calls (<c>AddX</c>, <c>UseX</c>, <c>MapX</c>) is found there without a using, as the platform's own is.</summary>
    private static bool IsHostExtension(string file, string name) =>
        file.EndsWith("Extensions.cs", StringComparison.Ordinal) &&
        name is "Microsoft.Extensions.DependencyInjection" or "Microsoft.AspNetCore.Builder";

    /// <summary>Paths of somebody's machine, and code that is not there.</summary>
    /// <param name="file">Path from the root of the repository.</param>
    public static IEnumerable<string> BannedViolations(string file, string text)
    {
        foreach (Match path in MachinePath().Matches(text))
            yield return $"{file}:{LineOf(text, path.Groups["path"].Index)} names a path of one machine: {path.Groups["path"].Value}";
        if (file.StartsWith("src/", StringComparison.Ordinal) && text.IndexOf("NotImplementedException", StringComparison.Ordinal) is >= 0 and var at)
            yield return $"{file}:{LineOf(text, at)} throws NotImplementedException";
    }

    private static int LineOf(string text, int index) => text.AsSpan(0, index).Count('\n') + 1;

    // At the start of its line: an indented one is a word of another language, in a text.
    [GeneratedRegex(@"^namespace\s+([\w.]+)", RegexOptions.Multiline)]
    private static partial Regex Namespace();

    [GeneratedRegex(@"^\s*(\w+\s+)*(class|struct|record|interface|enum)\s+\w+", RegexOptions.Multiline)]
    private static partial Regex TypeDeclaration();

    [GeneratedRegex(@"(?<![\w.~}\])/:-])(?<path>/(work|root)/[\w.-]*)")]
    private static partial Regex MachinePath();
}
