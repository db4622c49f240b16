using System.Text.RegularExpressions;

namespace Architecture.Tests.Code;

/// <summary>
/// The server's inner order: a folder is core, the HTTP forms that slices share, or a slice. A slice uses the core and the forms,
/// never another slice; the forms use the core; the core uses neither, and nothing of a request. What stands in the root namespace
/// puts the parts together and may use all.
/// </summary>
internal static partial class Slices
{
    private const string Root = "McpAuthServer.";

    private static readonly HashSet<string> Core =
        ["Delegation", "Registry", "Clients", "Tokens", "Keys", "Policies", "Audit", "Storage", "People", "Authorizations", "Abuse", "Attestation", "Federation", "CallApprovals"];

    /// <summary>The one error writer and the one strict reader of bodies; the one frame of all pages.</summary>
    private static readonly HashSet<string> Forms = ["Http", "Pages"];

    /// <summary>The request itself, also by its parts.</summary>
    private static readonly HashSet<string> Request =
    [
        "Microsoft.AspNetCore.Http.HttpContext", "Microsoft.AspNetCore.Http.HttpRequest", "Microsoft.AspNetCore.Http.HttpResponse",
        "Microsoft.AspNetCore.Http.IHttpContextAccessor",
    ];

    /// <returns>A sentence for each use that crosses a border it may not.</returns>
    public static IEnumerable<string> Violations(IEnumerable<TypeUse> uses)
    {
        foreach (var (from, to) in uses)
        {
            if (FolderOf(from) is not { } folder)
                continue;
            if (Core.Contains(folder) && Request.Contains(to))
                yield return $"{from} of the core uses {to}";
            if (FolderOf(to) is { } other && !MayUse(folder, other))
                yield return $"{from} uses {to}: {Describe(folder)} may not use {Describe(other)}";
        }
    }

    /// <summary>
    /// The same from using directives, which also tell of what the compiler leaves no trace of: constants and names.
    /// </summary>
    /// <param name="file">Path from the server's project folder, e.g. <c>Grants/TokenEndpoint.cs</c>.</param>
    public static IEnumerable<string> DirectiveViolations(string file, string source)
    {
        var folder = file.Contains('/') ? file[..file.IndexOf('/')] : null;
        foreach (Match directive in Using().Matches(source))
        {
            var other = directive.Groups["folder"].Value;
            var everywhere = directive.Groups["global"].Success;
            if (everywhere && !Core.Contains(other))
                yield return $"{file} brings {Describe(other)} into every file";
            else if (folder is not null && !MayUse(folder, other))
                yield return $"{file} names {other}: {Describe(folder)} may not use {Describe(other)}";
        }
    }

    private static bool MayUse(string folder, string other) =>
        folder == other || Core.Contains(other) || (Forms.Contains(other) && !Core.Contains(folder));

    private static string Describe(string folder) => Forms.Contains(folder) ? folder : $"{(Core.Contains(folder) ? "core" : "slice")} {folder}";

    /// <summary>The first part of the namespace below the root's; null in the root itself and outside the server.</summary>
    private static string? FolderOf(string type)
    {
        if (!type.StartsWith(Root, StringComparison.Ordinal))
            return null;
        var rest = type[Root.Length..];
        var dot = rest.IndexOf('.', StringComparison.Ordinal);
        return dot < 0 ? null : rest[..dot];
    }

    [GeneratedRegex(@"^\s*(?<global>global\s+)?using\s+(static\s+)?(\w+\s*=\s*)?(global::)?McpAuthServer\.(?<folder>\w+)[^;]*;", RegexOptions.Multiline)]
    private static partial Regex Using();
}
