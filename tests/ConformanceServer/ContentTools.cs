using System.ComponentModel;
using ModelContextProtocol;
using ModelContextProtocol.Protocol;
using ModelContextProtocol.Server;

namespace ConformanceServer;

/// <summary>One tool for every kind of content a result can have.</summary>
[McpServerToolType]
internal sealed class ContentTools
{
    [McpServerTool(Name = "test_simple_text", ReadOnly = true), Description("Answers with text.")]
    public static string Text() => "This is a simple text response for testing.";

    [McpServerTool(Name = "test_image_content", ReadOnly = true), Description("Answers with an image.")]
    public static ContentBlock Image() => ImageContentBlock.FromBytes(Samples.Png, "image/png");

    [McpServerTool(Name = "test_audio_content", ReadOnly = true), Description("Answers with a sound.")]
    public static ContentBlock Audio() => AudioContentBlock.FromBytes(Samples.Wav, "audio/wav");

    [McpServerTool(Name = "test_embedded_resource", ReadOnly = true), Description("Answers with a resource.")]
    public static ContentBlock Embedded() => new EmbeddedResourceBlock
    {
        Resource = new TextResourceContents { Uri = "test://embedded-resource", MimeType = "text/plain", Text = "This is an embedded resource content." },
    };

    [McpServerTool(Name = "test_multiple_content_types", ReadOnly = true), Description("Answers with text, an image and a resource.")]
    public static IEnumerable<ContentBlock> Mixed() =>
    [
        new TextContentBlock { Text = "Multiple content types test:" },
        ImageContentBlock.FromBytes(Samples.Png, "image/png"),
        new EmbeddedResourceBlock
        {
            Resource = new TextResourceContents { Uri = "test://mixed-content-resource", MimeType = "application/json", Text = """{"test":"data","value":123}""" },
        },
    ];

    [McpServerTool(Name = "test_error_handling", ReadOnly = true), Description("Always fails.")]
    public static string Fails() => throw new McpException("This tool intentionally returns an error for testing");

    [McpServerTool(Name = "test_header_argument", ReadOnly = true), Description("Takes an argument that a header repeats.")]
    public static string Header([McpHeader("Region"), Description("Where.")] string region) => region;
}
