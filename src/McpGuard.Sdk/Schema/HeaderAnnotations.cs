using System.Buffers;
using McpAuth.Protocol;

namespace McpGuard.Sdk.Schema;

/// <summary>
/// Which arguments also stand in <c>Mcp-Param-*</c> headers, and whether the annotations are such as clients go by (MCP 2026-07-28, Streamable
/// HTTP: <c>x-mcp-header</c>). Clients leave out a tool with any other: nobody could call it rightly.
/// </summary>
internal static class HeaderAnnotations
{
    // RFC 9110 §5.6.2: tchar.
    private static readonly SearchValues<char> Token = SearchValues.Create("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz");

    private const JsonTypes Primitive = JsonTypes.Integer | JsonTypes.String | JsonTypes.Boolean;

    /// <param name="annotated">How many there are in the whole schema.</param>
    public static Result<HeaderParameter[]> Read(SchemaNode root, int annotated)
    {
        var found = new List<HeaderParameter>();
        if (Collect(root, [], found, 0) is { } fault) return fault;
        if (found.DistinctBy(p => p.Header, StringComparer.OrdinalIgnoreCase).Count() != found.Count) return Invalid("Two arguments name one header.");
        return found.Count == annotated ? found.ToArray() : Invalid("An annotation stands where no chain of properties leads.");
    }

    private static Fault? Collect(SchemaNode node, string[] path, List<HeaderParameter> found, int depth)
    {
        if (depth > SchemaValidation.Deepest) return null;
        foreach ((string name, SchemaNode property) in node.Properties)
        {
            string[] at = [.. path, name];
            if (property.Header is { } header)
            {
                if (header.Length == 0 || header.AsSpan().IndexOfAnyExcept(Token) >= 0) return Invalid("An annotation is no name of a header.");
                // null only says that the argument, and with it the header, is absent. A number has too many spellings.
                if ((property.Types & ~(Primitive | JsonTypes.Null)) != 0 || (property.Types & Primitive) == 0)
                    return Invalid("An argument with a header is an integer, a string or a boolean.");
                found.Add(new HeaderParameter(McpAuth.Protocol.Names.Mcp.ParamHeaderPrefix + header, at));
            }
            if (Collect(property, at, found, depth + 1) is { } fault) return fault;
        }
        return null;
    }

    private static Fault Invalid(string why) => new("invalid_header_annotation", why);
}

/// <param name="Header">The whole header name, <c>Mcp-Param-…</c>.</param>
/// <param name="Path">The property's path in the arguments.</param>
internal sealed record HeaderParameter(string Header, string[] Path);
