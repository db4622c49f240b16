using System.Text.Json;
using McpAuth.Protocol;
using McpAuth.Protocol.Json;

namespace McpAuthServer.Registry.Apply;

/// <summary>
/// The strict reader stops at the first fault and knows no path. For a refused file, which somebody has to mend by hand, the repeated members and
/// inexact numbers are looked for again, and all of them are told with their paths.
/// </summary>
internal static class StrictJsonFaults
{
    public static IReadOnlyList<Fault> Locate(ReadOnlyMemory<byte> file, Fault first)
    {
        var faults = new List<Fault>();
        if (first.Code is "duplicate_member" or "inexact_number")
        {
            try
            {
                using var json = JsonDocument.Parse(file, new JsonDocumentOptions { MaxDepth = Limits.JsonDepth });
                Look(json.RootElement, "$", faults);
            }
            catch (Exception e) when (e is JsonException or InvalidOperationException)
            {
                // Further on it is not JSON at all, or a name holds half a surrogate pair.
                faults.Clear();
            }
        }
        return faults.Count > 0 ? faults : [first with { Path = "$" }];
    }

    private static void Look(JsonElement value, string path, List<Fault> faults)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.Object:
                var names = new HashSet<string>(StringComparer.OrdinalIgnoreCase);
                foreach (var member in value.EnumerateObject())
                {
                    var at = ObjectReader.Child(path, member.Name);
                    if (!names.Add(member.Name))
                        faults.Add(new Fault("duplicate_member", "The object has two members with this name, or names equal but for case.", at));
                    Look(member.Value, at, faults);
                }
                break;
            case JsonValueKind.Array:
                foreach (var (item, i) in value.EnumerateArray().Select((item, i) => (item, i)))
                    Look(item, ObjectReader.Child(path, i), faults);
                break;
            case JsonValueKind.Number when !StrictJson.Parse(value.GetRawText(), new JsonLimits(int.MaxValue)).TryGet(out _, out var fault):
                faults.Add(fault with { Path = path });
                break;
        }
    }
}
