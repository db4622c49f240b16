namespace McpAuth.Protocol.Tests.ToolCalls;

[Trait("Spec", "wire:mcp_tool_call")]
public sealed class ToolAuthorityTests
{
    private const string Closed = """
        "args":{"id":{"constraint_type":"prefix","value":"o-"},"n":{"constraint_type":"range","max":5}},"optional":["n"]
        """;

    [Theory]
    [InlineData("{}")]
    [InlineData("""{"anything":[1,2],"x":null}""")]
    public void Denies_OpenArguments_AdmitAnyObject(string arguments)
    {
        Assert.Null(Json.Tool("").Denies(Json.Of(arguments)));
        Assert.Null(Json.Tool("\"args\":{}").Denies(Json.Of(arguments)));
    }

    [Theory]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("\"x\"")]
    public void Denies_NoObject_EvenWhereArgumentsAreOpen(string arguments) =>
        Assert.Equal(("argument_denied", "$"), Denied("", arguments));

    [Theory]
    [InlineData("""{"id":"o-1"}""", null)]
    [InlineData("""{"id":"o-1","n":5}""", null)]
    [InlineData("""{"n":5,"id":"o-1"}""", null)]
    [InlineData("""{"n":5}""", "$.id")]
    [InlineData("""{}""", "$.id")]
    [InlineData("""{"id":"x"}""", "$.id")]
    [InlineData("""{"id":null}""", "$.id")]
    [InlineData("""{"id":"o-1","n":6}""", "$.n")]
    [InlineData("""{"id":"o-1","n":null}""", "$.n")]
    [InlineData("""{"id":"o-1","other":1}""", "$.other")]
    [InlineData("""{"id":"o-1","N":1}""", "$.N")]
    [InlineData("""{"id":"o-1","id":"x"}""", "$.id")]
    [InlineData("""{"id":"x","id":"o-1"}""", "$.id")]
    public void Denies_ClosedArguments_WhateverIsNotGranted(string arguments, string? path) =>
        Assert.Equal(path is null ? (null, null) : ("argument_denied", path), Denied(Closed, arguments));

    [Fact]
    public void Denies_Fault_DoesNotQuoteTheValue()
    {
        var fault = Json.Tool(Closed).Denies(Json.Of("""{"id":"hunter2"}"""));
        Assert.DoesNotContain("hunter2", fault!.ToString(), StringComparison.Ordinal);
    }

    private static (string? Code, string? Path) Denied(string tool, string arguments)
    {
        var fault = Json.Tool(tool).Denies(Json.Of(arguments));
        return (fault?.Code, fault?.Path);
    }
}
