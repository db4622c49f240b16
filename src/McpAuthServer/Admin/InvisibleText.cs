using System.Globalization;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using McpAuth.Protocol.Json;
using McpAuthServer.Pages.Wording;

namespace McpAuthServer.Admin;

/// <summary>
/// What somebody who reads a definition would not see: characters that turn text around, hide it or stand for nothing. A model reads them all the same. Each text that has some is
/// told with them, by its place, and once more with their escapes.
/// </summary>
internal sealed class InvisibleText
{
    private const int MostEntries = 100, MostCharacters = 100, LongestShown = 10_000;

    public JsonArray Entries { get; } = [];

    /// <summary>Whether these are all, and whole.</summary>
    public bool Complete { get; private set; } = true;

    /// <param name="side">Which definition it is, in the answer's words.</param>
    public void Look(JsonElement definition, string side) => Look(null, definition, side);

    private void Look(Place? at, JsonElement value, string side)
    {
        switch (value.ValueKind)
        {
            case JsonValueKind.String:
                Text(at, value, side, "value");
                break;
            case JsonValueKind.Array:
                foreach (var (item, i) in value.EnumerateArray().Select((item, i) => (item, i)))
                    Look(new(at, i.ToString(CultureInfo.InvariantCulture)), item, side);
                break;
            case JsonValueKind.Object:
                foreach (var member in value.EnumerateObject())
                {
                    Text(new(at, member.Name), JsonElement.Parse(JsonValue.Create(member.Name).ToJsonString()), side, "name");
                    Look(new(at, member.Name), member.Value, side);
                }
                break;
        }
    }

    private void Text(Place? at, JsonElement text, string side, string part)
    {
        var found = new SortedSet<int>(text.GetString()!.Where(c => char.IsControl(c) && c is not ('\t' or '\n' or '\r')).Select(c => (int)c));
        var shown = JsonWording.Text(Encoding.UTF8.GetString(CanonicalJson.ToBytes(text)), found);
        if (found.Count == 0)
            return;
        if (Entries.Count == MostEntries)
        {
            Complete = false;
            return;
        }
        if (found.Count > MostCharacters || shown.Length > LongestShown)
            Complete = false;
        Entries.Add(new JsonObject
        {
            ["in"] = side, ["path"] = Place.Pointer(at), ["part"] = part,
            ["characters"] = new JsonArray([.. found.Take(MostCharacters).Select(c => (JsonNode)$"U+{c:X4}")]),
            ["shown"] = shown.Length > LongestShown ? shown[..LongestShown] + '…' : shown,
        });
    }
}
