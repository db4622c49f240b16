namespace McpAuth.Protocol.Tests.ToolCalls;

/// <summary>Each dimension of an authority alone: kept, tightened and loosened.</summary>
[Trait("Spec", "wire:mcp_tool_call")]
public sealed class AuthorityExceedsTests
{
    private const string D1 = "sha-256:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU", D2 = "sha-256:A7DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU";
    private const string X = "\"x\":{\"constraint_type\":\"range\",\"max\":5}", Y = "\"y\":{\"constraint_type\":\"wildcard\"}";

    [Theory]
    // Open and closed arguments
    [InlineData("", "", null)]
    [InlineData("\"args\":{" + X + "}", "", null)]
    [InlineData("\"args\":{}", "\"args\":{}", null)]
    [InlineData("", "\"args\":{" + X + "}", ".args")]
    [InlineData("\"args\":{}", "\"args\":{" + X + "},\"optional\":[\"x\"]", ".args")]
    [InlineData("\"args\":{" + X + "}", "\"args\":{" + X + "}", null)]
    [InlineData("\"args\":{" + X + "," + Y + "}", "\"args\":{" + X + "}", ".args.y")]
    [InlineData("\"args\":{" + X + "}", "\"args\":{" + X + "," + Y + "}", ".args.y")]
    [InlineData("\"args\":{" + X + "}", "\"args\":{" + X + "," + Y + "},\"optional\":[\"y\"]", null)]
    [InlineData("\"args\":{" + X + "," + Y + "}", "\"args\":{" + X + "," + Y + "},\"optional\":[\"y\"]", null)]
    [InlineData("\"args\":{" + X + "," + Y + "},\"optional\":[\"y\"]", "\"args\":{" + X + "," + Y + "},\"optional\":[\"y\"]", null)]
    [InlineData("\"args\":{" + X + "," + Y + "},\"optional\":[\"y\"]", "\"args\":{" + X + "," + Y + "}", ".args.y")]
    [InlineData("\"args\":{" + X + "," + Y + "},\"optional\":[\"x\"]", "\"args\":{" + X + "," + Y + "},\"optional\":[\"y\"]", ".args.x")]
    [InlineData("\"args\":{\"x\":{\"constraint_type\":\"exact\",\"value\":6}}", "\"args\":{" + X + "}", ".args.x")]
    [InlineData("\"args\":{\"x\":{\"constraint_type\":\"exact\",\"value\":5.0}}", "\"args\":{" + X + "}", null)]
    // Calls
    [InlineData("\"max_calls\":3", "\"max_calls\":3", null)]
    [InlineData("\"max_calls\":2", "\"max_calls\":3", null)]
    [InlineData("\"max_calls\":0", "\"max_calls\":3", null)]
    [InlineData("\"max_calls\":4", "\"max_calls\":3", ".max_calls")]
    [InlineData("", "\"max_calls\":3", ".max_calls")]
    [InlineData("\"max_calls\":3", "", null)]
    // Approval
    [InlineData("\"approval\":\"required\"", "", null)]
    [InlineData("\"approval\":\"required\"", "\"approval\":\"required\"", null)]
    [InlineData("", "\"approval\":\"required\"", ".approval")]
    [InlineData("\"approval\":\"none\"", "\"approval\":\"required\"", ".approval")]
    [InlineData("\"approval\":\"none\"", "\"approval\":\"none\"", null)]
    // Definition
    [InlineData("\"def_digest\":\"" + D1 + "\"", "", null)]
    [InlineData("\"def_digest\":\"" + D1 + "\"", "\"def_digest\":\"" + D1 + "\"", null)]
    [InlineData("\"def_digest\":\"" + D1 + "\"", "\"def_digest\":\"" + D2 + "\"", ".def_digest")]
    [InlineData("", "\"def_digest\":\"" + D1 + "\"", ".def_digest")]
    public void Exceeds_Tool_OnlyWhereOneDimensionIsLoosened(string child, string parent, string? path) =>
        Exceeds(Json.Entry($"\"tools\":{{\"t\":{{{child}}}}}"), Json.Entry($"\"tools\":{{\"t\":{{{parent}}}}}"), path is null ? null : "$[0].tools.t" + path);

    [Theory]
    [InlineData("", "", null)]
    [InlineData("", "\"tools\":{\"t\":{}}", null)]
    [InlineData("\"tools\":{\"t\":{}}", "", "$[0].tools.t")]
    [InlineData("\"tools\":{\"T\":{}}", "\"tools\":{\"t\":{}}", "$[0].tools.T")]
    [InlineData("\"actions\":[\"a\"]", "\"actions\":[\"b\",\"a\"]", null)]
    [InlineData("\"actions\":[\"a\",\"c\"]", "\"actions\":[\"b\",\"a\"]", "$[0].actions")]
    [InlineData("\"actions\":[\"A\"]", "\"actions\":[\"a\"]", "$[0].actions")]
    [InlineData("\"prompts\":[\"p\"]", "\"prompts\":[\"p\",\"q\"]", null)]
    [InlineData("\"prompts\":[\"p\"]", "", "$[0].prompts")]
    [InlineData("\"prompts\":[\"P\"]", "\"prompts\":[\"p\"]", "$[0].prompts")]
    [InlineData("", "\"resources\":[{\"constraint_type\":\"wildcard\"}]", null)]
    [InlineData("\"resources\":[{\"constraint_type\":\"exact\",\"value\":\"x:a\"}]",
        "\"resources\":[{\"constraint_type\":\"prefix\",\"value\":\"y:\"},{\"constraint_type\":\"prefix\",\"value\":\"x:\"}]", null)]
    [InlineData("\"resources\":[{\"constraint_type\":\"prefix\",\"value\":\"x:\"},{\"constraint_type\":\"prefix\",\"value\":\"z:\"}]",
        "\"resources\":[{\"constraint_type\":\"prefix\",\"value\":\"y:\"},{\"constraint_type\":\"prefix\",\"value\":\"x:\"}]", "$[0].resources[1]")]
    [InlineData("\"resources\":[{\"constraint_type\":\"exact\",\"value\":\"x:a\"}]", "", "$[0].resources[0]")]
    public void Exceeds_Location_OnlyWhereOneDimensionIsLoosened(string child, string parent, string? path) =>
        Exceeds(Json.Entry(child), Json.Entry(parent), path);

    [Fact]
    public void Exceeds_Locations_AreComparedExactly()
    {
        string At(params string[] locations) => "[" + string.Join(',', locations.Select(l => $$"""{"type":"mcp_tool_call","locations":["{{l}}"]}""")) + "]";
        Exceeds(At("https://a/", "https://b"), At("https://b", "https://a/", "https://c"), null);
        Exceeds(At("https://b", "https://a"), At("https://b", "https://a/"), "$[1].locations");
        Exceeds(At("https://A"), At("https://a"), "$[0].locations");
        Exceeds("[]", At("https://a"), null);
        Exceeds(At("https://a"), "[]", "$[0].locations");
    }

    [Fact]
    public void Exceeds_AtAnotherLocation_LendsNothing()
    {
        const string Parent = """[{"type":"mcp_tool_call","locations":["a"],"tools":{"t":{}}},{"type":"mcp_tool_call","locations":["b"],"tools":{"u":{}}}]""";
        Exceeds("""[{"type":"mcp_tool_call","locations":["b"],"tools":{"t":{}}}]""", Parent, "$[0].tools.t");
    }

    private static void Exceeds(string child, string parent, string? path)
    {
        var fault = Json.Authority(child).Value.Exceeds(Json.Authority(parent).Value);
        Assert.Equal((path is null ? null : "exceeds_parent", path), (fault?.Code, fault?.Path));
    }
}
