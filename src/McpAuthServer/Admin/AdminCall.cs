using System.Text;
using McpAuth.Protocol.Jose;
using McpAuthServer.Http;

namespace McpAuthServer.Admin;

/// <summary>One authenticated request.</summary>
/// <param name="Id">What the path names; empty where it names nothing.</param>
/// <param name="Part">What it names of that.</param>
internal sealed record AdminCall(HttpContext Context, AdminCaller Caller, string Id, string Part = "")
{
    public CancellationToken Cancel => Context.RequestAborted;
}

/// <summary>A part of a list: at most so many, after what a cursor names.</summary>
/// <param name="After">Empty: from the beginning.</param>
internal readonly record struct PageOf(int Limit, string After)
{
    private const int Usual = 50, Most = 200;

    /// <summary>The page, and the filters in the order of their names, empty where they are absent.</summary>
    public static (PageOf Page, string[] Filters, Problem? Refusal) Read(HttpRequest request, params ReadOnlySpan<string> filters)
    {
        var values = new string[filters.Length];
        Array.Fill(values, "");
        var (limit, after) = (Usual, "");
        foreach (var (name, given) in request.Query)
        {
            if (given is not [{ Length: > 0 } value])
                return Refuse($"{Shown(name)} must stand once and not be empty.");
            if (name == "limit")
            {
                if (!int.TryParse(value, System.Globalization.NumberStyles.None, null, out limit) || limit is < 1 or > Most)
                    return Refuse($"limit lies between 1 and {Most}.");
            }
            else if (name == "after")
            {
                if (!Base64Url.TryDecode(value, out var bytes))
                    return Refuse("after is what an answer called next.");
                after = Encoding.UTF8.GetString(bytes);
            }
            else if (filters.IndexOf(name) is >= 0 and var at)
                values[at] = value;
            else
                return Refuse($"There is no parameter {Shown(name)}.");
        }
        return (new(limit, after), values, null);

        static (PageOf, string[], Problem?) Refuse(string why) => (default, [], Problem.Invalid(why));
        static string Shown(string name) => ErrorDescription.Shown(name.Length > 32 ? name[..32] : name);
    }

    /// <summary>The cursor to what follows.</summary>
    public static string Cursor(string last) => Base64Url.Encode(Encoding.UTF8.GetBytes(last));
}
